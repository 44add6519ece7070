CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE compute_action_events (
	id BIGINT NOT NULL AUTO_INCREMENT, 
	action_id BIGINT NOT NULL, 
	event VARCHAR(64) NOT NULL, 
	host_id VARCHAR(64), 
	started_at BIGINT NOT NULL, 
	finished_at BIGINT, 
	result VARCHAR(16), 
	detail LONGTEXT, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX compute_action_events_action ON compute_action_events (action_id, id);
CREATE TABLE compute_actions (
	id BIGINT NOT NULL AUTO_INCREMENT, 
	server_id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	request_id VARCHAR(64) NOT NULL, 
	action VARCHAR(64) NOT NULL, 
	message LONGTEXT, 
	detail LONGTEXT, 
	started_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX compute_actions_request ON compute_actions (server_id, request_id);
CREATE INDEX compute_actions_server ON compute_actions (server_id, id);
CREATE TABLE compute_aggregates (
	id VARCHAR(64) NOT NULL, 
	number BIGINT NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	metadata JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (number), 
	UNIQUE (name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE compute_flavors (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description LONGTEXT, 
	vcpus BIGINT NOT NULL, 
	ram_mb BIGINT NOT NULL, 
	disk_gb BIGINT NOT NULL, 
	ephemeral_gb BIGINT NOT NULL, 
	swap_mb BIGINT NOT NULL, 
	rxtx_factor FLOAT NOT NULL, 
	is_public BOOL NOT NULL, 
	disabled BOOL NOT NULL, 
	extra_specs JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX compute_flavors_list ON compute_flavors (created_at, id);
CREATE TABLE compute_hosts (
	id VARCHAR(64) NOT NULL, 
	number BIGINT NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	enabled BOOL NOT NULL, 
	disabled_reason VARCHAR(255), 
	forced_down BOOL NOT NULL, 
	connected BOOL NOT NULL, 
	seen_at BIGINT NOT NULL, 
	inventory JSON, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (number)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE compute_keypairs (
	id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	type VARCHAR(16) NOT NULL, 
	fingerprint VARCHAR(128) NOT NULL, 
	public_key LONGTEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT compute_keypairs_name UNIQUE (user_id, name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX compute_keypairs_list ON compute_keypairs (user_id, created_at, id);
CREATE TABLE compute_server_groups (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	policy VARCHAR(32) NOT NULL, 
	rules JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX compute_server_groups_list ON compute_server_groups (project_id, created_at, id);
CREATE TABLE compute_servers (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	hostname VARCHAR(255) NOT NULL, 
	description VARCHAR(255), 
	state VARCHAR(32) NOT NULL, 
	task VARCHAR(32), 
	power BIGINT NOT NULL, 
	host_id VARCHAR(64), 
	image_id VARCHAR(64) NOT NULL, 
	flavor_id VARCHAR(64) NOT NULL, 
	flavor JSON NOT NULL, 
	key_name VARCHAR(255), 
	`keys` JSON NOT NULL, 
	user_data LONGBLOB, 
	config_drive BOOL NOT NULL, 
	metadata JSON NOT NULL, 
	properties JSON NOT NULL, 
	admin_pass VARCHAR(512), 
	availability_zone VARCHAR(255) NOT NULL, 
	pinned_zone VARCHAR(255), 
	reservation_id VARCHAR(64) NOT NULL, 
	launch_index BIGINT NOT NULL, 
	access_ip_v4 VARCHAR(64) NOT NULL, 
	access_ip_v6 VARCHAR(64) NOT NULL, 
	disk_config VARCHAR(16) NOT NULL, 
	locked_by VARCHAR(16), 
	locked_reason VARCHAR(255), 
	trusted_certs JSON, 
	fault JSON, 
	revision BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	launched_at BIGINT, 
	terminated_at BIGINT, 
	deleted_at BIGINT, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX compute_servers_all ON compute_servers (created_at, id);
CREATE INDEX compute_servers_host ON compute_servers (host_id, deleted_at);
CREATE INDEX compute_servers_image ON compute_servers (image_id);
CREATE INDEX compute_servers_list ON compute_servers (project_id, created_at, id);
CREATE TABLE core_epochs (
	name VARCHAR(32) NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE core_journal (
	id BIGINT NOT NULL AUTO_INCREMENT, 
	`position` BIGINT, 
	at BIGINT NOT NULL, 
	request_id VARCHAR(64) NOT NULL, 
	actor VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	service VARCHAR(32) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	resource_id VARCHAR(64) NOT NULL, 
	action VARCHAR(128) NOT NULL, 
	state JSON, 
	PRIMARY KEY (id), 
	UNIQUE (`position`)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX core_journal_project ON core_journal (project_id, `position`);
CREATE INDEX core_journal_request ON core_journal (request_id);
CREATE INDEX core_journal_resource ON core_journal (resource_id, id);
CREATE TABLE core_leases (
	name VARCHAR(64) NOT NULL, 
	holder VARCHAR(64) NOT NULL, 
	until BIGINT NOT NULL, 
	PRIMARY KEY (name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE core_quota_limits (
	project_id VARCHAR(64) NOT NULL, 
	resource VARCHAR(64) NOT NULL, 
	maximum BIGINT NOT NULL, 
	PRIMARY KEY (project_id, resource)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE core_quota_usages (
	project_id VARCHAR(64) NOT NULL, 
	resource VARCHAR(64) NOT NULL, 
	used BIGINT NOT NULL, 
	PRIMARY KEY (project_id, resource)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE core_sagas (
	id VARCHAR(64) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	subject VARCHAR(64) NOT NULL, 
	lock_name VARCHAR(160), 
	state VARCHAR(80) NOT NULL, 
	step VARCHAR(64) NOT NULL, 
	round BIGINT NOT NULL, 
	done JSON NOT NULL, 
	kept JSON NOT NULL, 
	due_at BIGINT, 
	lease_until BIGINT NOT NULL, 
	fence BIGINT NOT NULL, 
	`signal` VARCHAR(32) NOT NULL, 
	attempt BIGINT NOT NULL, 
	deadline_at BIGINT NOT NULL, 
	parent_id VARCHAR(64), 
	`then` JSON, 
	request_id VARCHAR(64) NOT NULL, 
	actor JSON NOT NULL, 
	error LONGTEXT, 
	created_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (lock_name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX core_sagas_due ON core_sagas (due_at);
CREATE INDEX core_sagas_request ON core_sagas (request_id);
CREATE INDEX core_sagas_subject ON core_sagas (subject, ended_at);
CREATE TABLE events_webhooks (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	url LONGTEXT NOT NULL, 
	secret LONGTEXT NOT NULL, 
	enabled BOOL NOT NULL, 
	all_projects BOOL NOT NULL, 
	wanted JSON NOT NULL, 
	`position` BIGINT NOT NULL, 
	attempts BIGINT NOT NULL, 
	last_error LONGTEXT, 
	acknowledged_at BIGINT, 
	due_at BIGINT NOT NULL, 
	lease_until BIGINT NOT NULL, 
	fence BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX events_webhooks_due ON events_webhooks (enabled, due_at);
CREATE INDEX events_webhooks_list ON events_webhooks (project_id, created_at, id);
CREATE TABLE identity_consumers (
	id VARCHAR(64) NOT NULL, 
	description LONGTEXT, 
	secret LONGTEXT NOT NULL, 
	extra JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_endpoint_groups (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description LONGTEXT, 
	filters JSON NOT NULL, 
	extra JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_groups (
	id VARCHAR(64) NOT NULL, 
	domain_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description LONGTEXT NOT NULL, 
	extra JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT identity_groups_name UNIQUE (domain_id, name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_mappings (
	id VARCHAR(64) NOT NULL, 
	rules JSON NOT NULL, 
	schema_version VARCHAR(8) NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_nonces (
	digest VARCHAR(64) NOT NULL, 
	forget_at BIGINT NOT NULL, 
	PRIMARY KEY (digest)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_nonces_forget ON identity_nonces (forget_at);
CREATE TABLE identity_oidc_clients (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	redirect_uris JSON NOT NULL, 
	secret_digest VARCHAR(64), 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_oidc_keys (
	id VARCHAR(64) NOT NULL, 
	sealed LONGTEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_policies (
	id VARCHAR(64) NOT NULL, 
	type VARCHAR(255) NOT NULL, 
	`blob` LONGTEXT NOT NULL, 
	extra JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_projects (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	domain_id VARCHAR(64) NOT NULL, 
	parent_id VARCHAR(64), 
	is_domain BOOL NOT NULL, 
	enabled BOOL NOT NULL, 
	description LONGTEXT NOT NULL, 
	extra JSON NOT NULL, 
	options JSON NOT NULL, 
	tags JSON NOT NULL, 
	generation BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT identity_projects_name UNIQUE (domain_id, name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_projects_parent ON identity_projects (parent_id);
CREATE TABLE identity_regions (
	id VARCHAR(255) NOT NULL, 
	parent_region_id VARCHAR(255), 
	description LONGTEXT NOT NULL, 
	extra JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_revocation_events (
	id BIGINT NOT NULL AUTO_INCREMENT, 
	user_id VARCHAR(64), 
	project_id VARCHAR(64), 
	domain_id VARCHAR(64), 
	audit_id VARCHAR(32), 
	audit_chain_id VARCHAR(32), 
	ground VARCHAR(32), 
	ground_id VARCHAR(64), 
	revoked_at BIGINT NOT NULL, 
	forget_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_revocation_events_time ON identity_revocation_events (revoked_at);
CREATE TABLE identity_revocations (
	id BIGINT NOT NULL AUTO_INCREMENT, 
	audit_id VARCHAR(32) NOT NULL, 
	chain BOOL NOT NULL, 
	revoked_at BIGINT NOT NULL, 
	forget_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_revocations_audit ON identity_revocations (audit_id);
CREATE TABLE identity_roles (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	domain_id VARCHAR(64) NOT NULL, 
	description LONGTEXT, 
	extra JSON NOT NULL, 
	options JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT identity_roles_name UNIQUE (domain_id, name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_saml_assertions (
	id VARCHAR(64) NOT NULL, 
	ends_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_saml_assertions_end ON identity_saml_assertions (ends_at);
CREATE TABLE identity_service_providers (
	id VARCHAR(64) NOT NULL, 
	enabled BOOL NOT NULL, 
	description LONGTEXT, 
	auth_url VARCHAR(255) NOT NULL, 
	sp_url VARCHAR(255) NOT NULL, 
	relay_state_prefix VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_services (
	id VARCHAR(64) NOT NULL, 
	type VARCHAR(255) NOT NULL, 
	name VARCHAR(255), 
	description LONGTEXT, 
	enabled BOOL NOT NULL, 
	extra JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_users (
	id VARCHAR(64) NOT NULL, 
	domain_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	enabled BOOL NOT NULL, 
	default_project_id VARCHAR(64), 
	password_hash VARCHAR(255), 
	password_expires_at BIGINT, 
	extra JSON NOT NULL, 
	options JSON NOT NULL, 
	generation BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT identity_users_name UNIQUE (domain_id, name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_users_by_name ON identity_users (name);
CREATE TABLE image_blobs (
	id VARCHAR(160) NOT NULL, 
	store VARCHAR(64) NOT NULL, 
	sha512 VARCHAR(128), 
	size_bytes BIGINT, 
	refs BIGINT NOT NULL, 
	seen_at BIGINT NOT NULL, 
	writer_id VARCHAR(64) NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT image_blobs_content UNIQUE (store, sha512)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX image_blobs_unfinished ON image_blobs (refs, seen_at);
CREATE INDEX image_blobs_writer ON image_blobs (writer_id);
CREATE TABLE image_images (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64), 
	name VARCHAR(255), 
	status VARCHAR(32) NOT NULL, 
	visibility VARCHAR(16) NOT NULL, 
	disk_format VARCHAR(32), 
	container_format VARCHAR(32), 
	size_bytes BIGINT, 
	virtual_size_bytes BIGINT, 
	min_disk_gb BIGINT NOT NULL, 
	min_ram_mb BIGINT NOT NULL, 
	protected BOOL NOT NULL, 
	hidden BOOL NOT NULL, 
	checksum VARCHAR(32), 
	sha512 VARCHAR(128), 
	tags JSON NOT NULL, 
	properties JSON NOT NULL, 
	hash_algo VARCHAR(16), 
	hash_value VARCHAR(128), 
	locations JSON, 
	`blob` VARCHAR(160), 
	staged_bytes BIGINT, 
	importing JSON, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX image_images_all ON image_images (created_at, id);
CREATE INDEX image_images_blob ON image_images (`blob`);
CREATE INDEX image_images_list ON image_images (project_id, created_at, id);
CREATE INDEX image_images_name ON image_images (name);
CREATE INDEX image_images_status ON image_images (status);
CREATE INDEX image_images_visibility ON image_images (visibility, created_at, id);
CREATE TABLE image_metadef_namespaces (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64), 
	namespace VARCHAR(80) NOT NULL, 
	display_name VARCHAR(80), 
	description VARCHAR(500), 
	visibility VARCHAR(16) NOT NULL, 
	protected BOOL NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX image_metadef_namespaces_list ON image_metadef_namespaces (project_id, created_at, id);
CREATE UNIQUE INDEX image_metadef_namespaces_name ON image_metadef_namespaces (namespace);
CREATE TABLE image_metadef_resource_types (
	name VARCHAR(80) NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE image_tasks (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	image_id VARCHAR(64), 
	type VARCHAR(32) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	input JSON NOT NULL, 
	result JSON, 
	message VARCHAR(1024) NOT NULL, 
	request_id VARCHAR(64) NOT NULL, 
	expires_at BIGINT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX image_tasks_all ON image_tasks (created_at, id);
CREATE INDEX image_tasks_expired ON image_tasks (expires_at);
CREATE INDEX image_tasks_image ON image_tasks (image_id);
CREATE INDEX image_tasks_list ON image_tasks (project_id, created_at, id);
CREATE TABLE network_addresses (
	subnet_id VARCHAR(64) NOT NULL, 
	ip VARCHAR(64) NOT NULL, 
	place BIGINT, 
	port_id VARCHAR(64) NOT NULL, 
	rank BIGINT NOT NULL, 
	PRIMARY KEY (subnet_id, ip)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX network_addresses_ip ON network_addresses (ip);
CREATE INDEX network_addresses_place ON network_addresses (subnet_id, place);
CREATE INDEX network_addresses_port ON network_addresses (port_id);
CREATE TABLE network_changes (
	id BIGINT NOT NULL AUTO_INCREMENT, 
	kind VARCHAR(32) NOT NULL, 
	object_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE network_floating_ips (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	tags JSON NOT NULL, 
	revision BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	network_id VARCHAR(64) NOT NULL, 
	own_port_id VARCHAR(64) NOT NULL, 
	address VARCHAR(64) NOT NULL, 
	port_id VARCHAR(64), 
	fixed_ip VARCHAR(64), 
	router_id VARCHAR(64), 
	status VARCHAR(16) NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT network_floating_ips_fixed UNIQUE (port_id, fixed_ip)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX network_floating_ips_address ON network_floating_ips (address);
CREATE INDEX network_floating_ips_list ON network_floating_ips (project_id, created_at, id);
CREATE INDEX network_floating_ips_router ON network_floating_ips (router_id);
CREATE TABLE network_holes (
	id BIGINT NOT NULL AUTO_INCREMENT, 
	subnet_id VARCHAR(64) NOT NULL, 
	place BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT network_holes_once UNIQUE (subnet_id, place)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX network_holes_order ON network_holes (subnet_id, id);
CREATE TABLE network_networks (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	tags JSON NOT NULL, 
	revision BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	admin_up BOOL NOT NULL, 
	shared BOOL NOT NULL, 
	external BOOL NOT NULL, 
	is_default BOOL NOT NULL, 
	mtu BIGINT NOT NULL, 
	port_security BOOL NOT NULL, 
	dns_domain VARCHAR(255) NOT NULL, 
	zone_hints JSON NOT NULL, 
	segment BIGINT NOT NULL, 
	provider_type VARCHAR(32) NOT NULL, 
	physical_network VARCHAR(64), 
	segmentation_id BIGINT, 
	provider_key VARCHAR(160), 
	PRIMARY KEY (id), 
	CONSTRAINT network_networks_segment UNIQUE (segment), 
	CONSTRAINT network_networks_provider UNIQUE (provider_key)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX network_networks_list ON network_networks (project_id, created_at, id);
CREATE TABLE network_pools (
	subnet_id VARCHAR(64) NOT NULL, 
	`position` BIGINT NOT NULL, 
	first BIGINT NOT NULL, 
	last BIGINT NOT NULL, 
	next BIGINT NOT NULL, 
	PRIMARY KEY (subnet_id, `position`)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE network_security_groups (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	tags JSON NOT NULL, 
	revision BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	stateful BOOL NOT NULL, 
	default_of VARCHAR(64), 
	PRIMARY KEY (id), 
	CONSTRAINT network_security_groups_default UNIQUE (default_of)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX network_security_groups_list ON network_security_groups (project_id, created_at, id);
CREATE TABLE network_tags (
	resource_id VARCHAR(64) NOT NULL, 
	tag VARCHAR(255) NOT NULL, 
	PRIMARY KEY (resource_id, tag)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX network_tags_tag ON network_tags (tag);
CREATE TABLE object_accounts (
	project_id VARCHAR(64) NOT NULL, 
	metadata JSON NOT NULL, 
	quota_bytes BIGINT, 
	quota_count BIGINT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (project_id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE object_blobs (
	id VARCHAR(64) NOT NULL, 
	refs BIGINT NOT NULL, 
	size_bytes BIGINT, 
	seen_at BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX object_blobs_unfinished ON object_blobs (refs, seen_at);
CREATE TABLE object_containers (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARBINARY(256) NOT NULL, 
	objects BIGINT NOT NULL, 
	bytes_used BIGINT NOT NULL, 
	metadata JSON NOT NULL, 
	read_acl LONGTEXT NOT NULL, 
	write_acl LONGTEXT NOT NULL, 
	quota_bytes BIGINT, 
	quota_count BIGINT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX object_containers_list ON object_containers (project_id, created_at, id);
CREATE UNIQUE INDEX object_containers_name ON object_containers (project_id, name);
CREATE TABLE placement_consumers (
	id VARCHAR(64) NOT NULL, 
	generation BIGINT NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	consumer_type VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX placement_consumers_owner ON placement_consumers (project_id, user_id);
CREATE TABLE placement_providers (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	generation BIGINT NOT NULL, 
	root_id VARCHAR(64) NOT NULL, 
	parent_id VARCHAR(64), 
	traits LONGTEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX placement_providers_parent ON placement_providers (parent_id);
CREATE INDEX placement_providers_root ON placement_providers (root_id);
CREATE TABLE placement_resource_classes (
	name VARCHAR(255) NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE placement_traits (
	name VARCHAR(255) NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE volume_pools (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	enabled BOOL NOT NULL, 
	disabled_reason VARCHAR(255), 
	backend VARCHAR(64) NOT NULL, 
	total_bytes BIGINT NOT NULL, 
	free_bytes BIGINT NOT NULL, 
	seen_at BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE volume_remains (
	id VARCHAR(64) NOT NULL, 
	host_id VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX volume_remains_host ON volume_remains (host_id);
CREATE TABLE volume_types (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255), 
	extra_specs JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT, 
	PRIMARY KEY (id), 
	UNIQUE (name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX volume_types_list ON volume_types (created_at, id);
CREATE TABLE compute_aggregate_hosts (
	aggregate_id VARCHAR(64) NOT NULL, 
	host_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (aggregate_id, host_id), 
	FOREIGN KEY(aggregate_id) REFERENCES compute_aggregates (id) ON DELETE CASCADE, 
	FOREIGN KEY(host_id) REFERENCES compute_hosts (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX compute_aggregate_hosts_host ON compute_aggregate_hosts (host_id);
CREATE TABLE compute_flavor_access (
	flavor_id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (flavor_id, project_id), 
	FOREIGN KEY(flavor_id) REFERENCES compute_flavors (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE compute_server_group_members (
	group_id VARCHAR(64) NOT NULL, 
	server_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (group_id, server_id), 
	FOREIGN KEY(group_id) REFERENCES compute_server_groups (id) ON DELETE CASCADE, 
	FOREIGN KEY(server_id) REFERENCES compute_servers (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX compute_server_group_members_server ON compute_server_group_members (server_id);
CREATE TABLE compute_server_tags (
	server_id VARCHAR(64) NOT NULL, 
	tag VARCHAR(60) NOT NULL, 
	PRIMARY KEY (server_id, tag), 
	FOREIGN KEY(server_id) REFERENCES compute_servers (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_access_rules (
	id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	service VARCHAR(255) NOT NULL, 
	method VARCHAR(16) NOT NULL, 
	path VARCHAR(255) NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_access_rules_user ON identity_access_rules (user_id);
CREATE TABLE identity_access_tokens (
	id VARCHAR(64) NOT NULL, 
	consumer_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	secret LONGTEXT NOT NULL, 
	roles JSON NOT NULL, 
	expires_at BIGINT, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(consumer_id) REFERENCES identity_consumers (id) ON DELETE CASCADE, 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE, 
	FOREIGN KEY(project_id) REFERENCES identity_projects (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_access_tokens_consumer ON identity_access_tokens (consumer_id);
CREATE INDEX identity_access_tokens_user ON identity_access_tokens (user_id);
CREATE TABLE identity_app_credentials (
	id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description LONGTEXT, 
	secret_hash VARCHAR(255) NOT NULL, 
	unrestricted BOOL NOT NULL, 
	expires_at BIGINT, 
	roles JSON NOT NULL, 
	access_rules JSON, 
	made_with VARCHAR(160), 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT identity_app_credentials_name UNIQUE (user_id, name), 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_app_credentials_made_with ON identity_app_credentials (made_with);
CREATE INDEX identity_app_credentials_project ON identity_app_credentials (project_id);
CREATE TABLE identity_assignments (
	actor_id VARCHAR(64) NOT NULL, 
	target_id VARCHAR(64) NOT NULL, 
	role_id VARCHAR(64) NOT NULL, 
	inherited BOOL NOT NULL, 
	target_type VARCHAR(8) NOT NULL, 
	actor_type VARCHAR(8) NOT NULL, 
	PRIMARY KEY (actor_id, target_id, role_id, inherited, target_type), 
	FOREIGN KEY(role_id) REFERENCES identity_roles (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_assignments_target ON identity_assignments (target_id);
CREATE TABLE identity_credentials (
	id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64), 
	type VARCHAR(255) NOT NULL, 
	`blob` LONGTEXT NOT NULL, 
	access_hash VARCHAR(64), 
	made_with VARCHAR(160), 
	extra JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE, 
	FOREIGN KEY(project_id) REFERENCES identity_projects (id) ON DELETE CASCADE, 
	UNIQUE (access_hash)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_credentials_made_with ON identity_credentials (made_with);
CREATE INDEX identity_credentials_project ON identity_credentials (project_id);
CREATE INDEX identity_credentials_user ON identity_credentials (user_id);
CREATE TABLE identity_domain_configs (
	id VARCHAR(64) NOT NULL, 
	options JSON NOT NULL, 
	secrets LONGTEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(id) REFERENCES identity_projects (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_endpoints (
	id VARCHAR(64) NOT NULL, 
	service_id VARCHAR(64) NOT NULL, 
	region_id VARCHAR(255), 
	interface VARCHAR(8) NOT NULL, 
	url LONGTEXT NOT NULL, 
	enabled BOOL NOT NULL, 
	extra JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(service_id) REFERENCES identity_services (id) ON DELETE CASCADE, 
	FOREIGN KEY(region_id) REFERENCES identity_regions (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_endpoints_service ON identity_endpoints (service_id);
CREATE TABLE identity_id_mappings (
	id VARCHAR(64) NOT NULL, 
	domain_id VARCHAR(64) NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	local_id VARCHAR(255) NOT NULL, 
	gone BOOL NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(domain_id) REFERENCES identity_projects (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_id_mappings_domain ON identity_id_mappings (domain_id, kind);
CREATE TABLE identity_implied_roles (
	prior_id VARCHAR(64) NOT NULL, 
	implied_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (prior_id, implied_id), 
	FOREIGN KEY(prior_id) REFERENCES identity_roles (id) ON DELETE CASCADE, 
	FOREIGN KEY(implied_id) REFERENCES identity_roles (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_memberships (
	user_id VARCHAR(64) NOT NULL, 
	group_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (user_id, group_id), 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE, 
	FOREIGN KEY(group_id) REFERENCES identity_groups (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_memberships_group ON identity_memberships (group_id);
CREATE TABLE identity_oidc_codes (
	id VARCHAR(64) NOT NULL, 
	client_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	user_generation BIGINT NOT NULL, 
	scope VARCHAR(255) NOT NULL, 
	authenticated_at BIGINT NOT NULL, 
	ends_at BIGINT NOT NULL, 
	redirect_uri LONGTEXT NOT NULL, 
	challenge VARCHAR(128), 
	nonce VARCHAR(255), 
	PRIMARY KEY (id), 
	FOREIGN KEY(client_id) REFERENCES identity_oidc_clients (id) ON DELETE CASCADE, 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_oidc_codes_client ON identity_oidc_codes (client_id);
CREATE INDEX identity_oidc_codes_user ON identity_oidc_codes (user_id);
CREATE TABLE identity_oidc_refresh_tokens (
	id VARCHAR(64) NOT NULL, 
	client_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	user_generation BIGINT NOT NULL, 
	scope VARCHAR(255) NOT NULL, 
	authenticated_at BIGINT NOT NULL, 
	ends_at BIGINT NOT NULL, 
	family VARCHAR(64) NOT NULL, 
	used BOOL NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(client_id) REFERENCES identity_oidc_clients (id) ON DELETE CASCADE, 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_oidc_refresh_tokens_client ON identity_oidc_refresh_tokens (client_id);
CREATE INDEX identity_oidc_refresh_tokens_family ON identity_oidc_refresh_tokens (family);
CREATE INDEX identity_oidc_refresh_tokens_user ON identity_oidc_refresh_tokens (user_id);
CREATE TABLE identity_passwords (
	id BIGINT NOT NULL AUTO_INCREMENT, 
	user_id VARCHAR(64) NOT NULL, 
	hash VARCHAR(255) NOT NULL, 
	chosen BOOL NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_passwords_user ON identity_passwords (user_id, id);
CREATE TABLE identity_project_endpoint_groups (
	project_id VARCHAR(64) NOT NULL, 
	endpoint_group_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (project_id, endpoint_group_id), 
	FOREIGN KEY(project_id) REFERENCES identity_projects (id) ON DELETE CASCADE, 
	FOREIGN KEY(endpoint_group_id) REFERENCES identity_endpoint_groups (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_project_endpoint_groups_group ON identity_project_endpoint_groups (endpoint_group_id);
CREATE TABLE identity_project_tags (
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	PRIMARY KEY (project_id, name), 
	FOREIGN KEY(project_id) REFERENCES identity_projects (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_project_tags_name ON identity_project_tags (name);
CREATE TABLE identity_providers (
	id VARCHAR(64) NOT NULL, 
	domain_id VARCHAR(64) NOT NULL, 
	description LONGTEXT, 
	enabled BOOL NOT NULL, 
	authorization_ttl BIGINT, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT identity_providers_domain UNIQUE (domain_id), 
	FOREIGN KEY(domain_id) REFERENCES identity_projects (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_registered_limits (
	id VARCHAR(64) NOT NULL, 
	service_id VARCHAR(64) NOT NULL, 
	region_id VARCHAR(255) NOT NULL, 
	resource_name VARCHAR(255) NOT NULL, 
	default_limit BIGINT NOT NULL, 
	description LONGTEXT, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT identity_registered_limits_what UNIQUE (service_id, region_id, resource_name), 
	FOREIGN KEY(service_id) REFERENCES identity_services (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_request_tokens (
	id VARCHAR(64) NOT NULL, 
	consumer_id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	secret LONGTEXT NOT NULL, 
	verifier_hash VARCHAR(64), 
	user_id VARCHAR(64), 
	roles JSON, 
	expires_at BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(consumer_id) REFERENCES identity_consumers (id) ON DELETE CASCADE, 
	FOREIGN KEY(project_id) REFERENCES identity_projects (id) ON DELETE CASCADE, 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_request_tokens_consumer ON identity_request_tokens (consumer_id);
CREATE INDEX identity_request_tokens_expiry ON identity_request_tokens (expires_at);
CREATE TABLE identity_sign_ins (
	user_id VARCHAR(64) NOT NULL, 
	failures BIGINT NOT NULL, 
	failed_at BIGINT, 
	active_on BIGINT, 
	PRIMARY KEY (user_id), 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_totp_uses (
	user_id VARCHAR(64) NOT NULL, 
	used_step BIGINT NOT NULL, 
	guessed_in BIGINT NOT NULL, 
	guesses BIGINT NOT NULL, 
	PRIMARY KEY (user_id), 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_trusts (
	id VARCHAR(64) NOT NULL, 
	trustor_user_id VARCHAR(64) NOT NULL, 
	trustee_user_id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64), 
	impersonation BOOL NOT NULL, 
	roles JSON NOT NULL, 
	expires_at BIGINT, 
	remaining_uses BIGINT, 
	used_at BIGINT, 
	redelegation_count BIGINT NOT NULL, 
	redelegated_trust_id VARCHAR(64), 
	made_with VARCHAR(160), 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(trustor_user_id) REFERENCES identity_users (id) ON DELETE CASCADE, 
	FOREIGN KEY(trustee_user_id) REFERENCES identity_users (id) ON DELETE CASCADE, 
	FOREIGN KEY(project_id) REFERENCES identity_projects (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_trusts_made_with ON identity_trusts (made_with);
CREATE INDEX identity_trusts_project ON identity_trusts (project_id);
CREATE INDEX identity_trusts_trustee ON identity_trusts (trustee_user_id);
CREATE INDEX identity_trusts_trustor ON identity_trusts (trustor_user_id);
CREATE TABLE image_cached (
	site VARCHAR(64) NOT NULL, 
	image_id VARCHAR(64) NOT NULL, 
	sha512 VARCHAR(128), 
	size_bytes BIGINT, 
	hits BIGINT NOT NULL, 
	used_at BIGINT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (site, image_id), 
	FOREIGN KEY(image_id) REFERENCES image_images (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX image_cached_image ON image_cached (image_id);
CREATE INDEX image_cached_used ON image_cached (site, used_at);
CREATE TABLE image_members (
	image_id VARCHAR(64) NOT NULL, 
	member_id VARCHAR(64) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (image_id, member_id), 
	FOREIGN KEY(image_id) REFERENCES image_images (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX image_members_member ON image_members (member_id, status, image_id);
CREATE TABLE image_metadef_associations (
	id VARCHAR(64) NOT NULL, 
	namespace_id VARCHAR(64) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	prefix VARCHAR(80), 
	properties_target VARCHAR(80), 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(namespace_id) REFERENCES image_metadef_namespaces (id) ON DELETE CASCADE, 
	FOREIGN KEY(name) REFERENCES image_metadef_resource_types (name)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE UNIQUE INDEX image_metadef_associations_name ON image_metadef_associations (namespace_id, name);
CREATE INDEX image_metadef_associations_type ON image_metadef_associations (name, namespace_id);
CREATE TABLE image_metadef_objects (
	id VARCHAR(64) NOT NULL, 
	namespace_id VARCHAR(64) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	description LONGTEXT, 
	required JSON NOT NULL, 
	properties JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(namespace_id) REFERENCES image_metadef_namespaces (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE UNIQUE INDEX image_metadef_objects_name ON image_metadef_objects (namespace_id, name);
CREATE TABLE image_metadef_properties (
	id VARCHAR(64) NOT NULL, 
	namespace_id VARCHAR(64) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	definition JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(namespace_id) REFERENCES image_metadef_namespaces (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE UNIQUE INDEX image_metadef_properties_name ON image_metadef_properties (namespace_id, name);
CREATE TABLE image_metadef_tags (
	id VARCHAR(64) NOT NULL, 
	namespace_id VARCHAR(64) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(namespace_id) REFERENCES image_metadef_namespaces (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE UNIQUE INDEX image_metadef_tags_name ON image_metadef_tags (namespace_id, name);
CREATE TABLE image_terms (
	image_id VARCHAR(64) NOT NULL, 
	term VARCHAR(64) NOT NULL, 
	PRIMARY KEY (image_id, term), 
	FOREIGN KEY(image_id) REFERENCES image_images (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX image_terms_term ON image_terms (term, image_id);
CREATE TABLE network_port_groups (
	port_id VARCHAR(64) NOT NULL, 
	group_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (port_id, group_id), 
	CONSTRAINT network_port_groups_group FOREIGN KEY(group_id) REFERENCES network_security_groups (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX network_port_groups_of ON network_port_groups (group_id);
CREATE TABLE network_ports (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	tags JSON NOT NULL, 
	revision BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	network_id VARCHAR(64) NOT NULL, 
	mac VARCHAR(32) NOT NULL, 
	admin_up BOOL NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	device_id VARCHAR(255) NOT NULL, 
	device_owner VARCHAR(255) NOT NULL, 
	port_security BOOL NOT NULL, 
	host_id VARCHAR(255) NOT NULL, 
	vnic_type VARCHAR(64) NOT NULL, 
	vif_type VARCHAR(64) NOT NULL, 
	profile JSON NOT NULL, 
	pairs JSON NOT NULL, 
	dhcp_options JSON NOT NULL, 
	hostname VARCHAR(255) NOT NULL, 
	nic_tag VARCHAR(64), 
	made_by_compute BOOL NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT network_ports_network FOREIGN KEY(network_id) REFERENCES network_networks (id), 
	CONSTRAINT network_ports_mac UNIQUE (network_id, mac)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX network_ports_device ON network_ports (device_id);
CREATE INDEX network_ports_host ON network_ports (host_id, id);
CREATE INDEX network_ports_list ON network_ports (project_id, created_at, id);
CREATE TABLE network_routers (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	tags JSON NOT NULL, 
	revision BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	admin_up BOOL NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	gateway_network_id VARCHAR(64), 
	gateway_port_id VARCHAR(64), 
	snat BOOL NOT NULL, 
	routes JSON NOT NULL, 
	zone_hints JSON NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT network_routers_gateway FOREIGN KEY(gateway_network_id) REFERENCES network_networks (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX network_routers_list ON network_routers (project_id, created_at, id);
CREATE TABLE network_security_rules (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	group_id VARCHAR(64) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	direction VARCHAR(16) NOT NULL, 
	ethertype VARCHAR(8) NOT NULL, 
	protocol VARCHAR(40), 
	port_min BIGINT, 
	port_max BIGINT, 
	remote_cidr VARCHAR(64), 
	normalized_cidr VARCHAR(64), 
	remote_group_id VARCHAR(64), 
	sameness VARCHAR(64) NOT NULL, 
	revision BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT network_security_rules_group FOREIGN KEY(group_id) REFERENCES network_security_groups (id), 
	CONSTRAINT network_security_rules_once UNIQUE (group_id, sameness)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX network_security_rules_list ON network_security_rules (project_id, created_at, id);
CREATE INDEX network_security_rules_remote ON network_security_rules (remote_group_id);
CREATE TABLE network_subnets (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description VARCHAR(255) NOT NULL, 
	tags JSON NOT NULL, 
	revision BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	network_id VARCHAR(64) NOT NULL, 
	ip_version BIGINT NOT NULL, 
	cidr VARCHAR(64) NOT NULL, 
	gateway_ip VARCHAR(64), 
	dhcp BOOL NOT NULL, 
	dhcp_ip VARCHAR(64), 
	ra_mode VARCHAR(32), 
	address_mode VARCHAR(32), 
	dns JSON NOT NULL, 
	routes JSON NOT NULL, 
	pools JSON NOT NULL, 
	service_types JSON NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT network_subnets_network FOREIGN KEY(network_id) REFERENCES network_networks (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX network_subnets_list ON network_subnets (project_id, created_at, id);
CREATE INDEX network_subnets_of ON network_subnets (network_id);
CREATE TABLE object_objects (
	id VARCHAR(64) NOT NULL, 
	container_id VARCHAR(64) NOT NULL, 
	name VARBINARY(1024) NOT NULL, 
	blob_id VARCHAR(64) NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	etag VARCHAR(32) NOT NULL, 
	content_type LONGTEXT NOT NULL, 
	metadata JSON NOT NULL, 
	headers JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(container_id) REFERENCES object_containers (id), 
	FOREIGN KEY(blob_id) REFERENCES object_blobs (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX object_objects_blob ON object_objects (blob_id);
CREATE UNIQUE INDEX object_objects_name ON object_objects (container_id, name);
CREATE TABLE placement_aggregates (
	provider_id VARCHAR(64) NOT NULL, 
	aggregate_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (provider_id, aggregate_id), 
	FOREIGN KEY(provider_id) REFERENCES placement_providers (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX placement_aggregates_members ON placement_aggregates (aggregate_id, provider_id);
CREATE TABLE placement_allocations (
	consumer_id VARCHAR(64) NOT NULL, 
	provider_id VARCHAR(64) NOT NULL, 
	resource_class VARCHAR(255) NOT NULL, 
	used BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (consumer_id, provider_id, resource_class), 
	FOREIGN KEY(consumer_id) REFERENCES placement_consumers (id), 
	FOREIGN KEY(provider_id) REFERENCES placement_providers (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX placement_allocations_provider ON placement_allocations (provider_id, resource_class);
CREATE TABLE placement_inventories (
	resource_class VARCHAR(255) NOT NULL, 
	provider_id VARCHAR(64) NOT NULL, 
	total BIGINT NOT NULL, 
	reserved BIGINT NOT NULL, 
	min_unit BIGINT NOT NULL, 
	max_unit BIGINT NOT NULL, 
	step_size BIGINT NOT NULL, 
	allocation_ratio DOUBLE NOT NULL, 
	capacity BIGINT NOT NULL, 
	used BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (resource_class, provider_id), 
	FOREIGN KEY(provider_id) REFERENCES placement_providers (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX placement_inventories_provider ON placement_inventories (provider_id);
CREATE TABLE placement_provider_traits (
	provider_id VARCHAR(64) NOT NULL, 
	trait VARCHAR(255) NOT NULL, 
	reported BOOL NOT NULL, 
	PRIMARY KEY (provider_id, trait), 
	FOREIGN KEY(provider_id) REFERENCES placement_providers (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX placement_provider_traits_bearers ON placement_provider_traits (trait, provider_id);
CREATE TABLE volume_volumes (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255), 
	description VARCHAR(255), 
	size_gib BIGINT NOT NULL, 
	growing_gib BIGINT, 
	state VARCHAR(32) NOT NULL, 
	fault VARCHAR(1024), 
	host_id VARCHAR(64), 
	type_id VARCHAR(64) NOT NULL, 
	availability_zone VARCHAR(255) NOT NULL, 
	bootable BOOL NOT NULL, 
	metadata JSON NOT NULL, 
	image_metadata JSON, 
	image_id VARCHAR(64), 
	snapshot_id VARCHAR(64), 
	source_volume_id VARCHAR(64), 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(type_id) REFERENCES volume_types (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX volume_volumes_host ON volume_volumes (host_id);
CREATE INDEX volume_volumes_list ON volume_volumes (project_id, created_at, id);
CREATE INDEX volume_volumes_snapshot ON volume_volumes (snapshot_id);
CREATE INDEX volume_volumes_source ON volume_volumes (source_volume_id);
CREATE INDEX volume_volumes_type ON volume_volumes (type_id);
CREATE TABLE identity_expiring_memberships (
	user_id VARCHAR(64) NOT NULL, 
	group_id VARCHAR(64) NOT NULL, 
	provider_id VARCHAR(64) NOT NULL, 
	ends_at BIGINT NOT NULL, 
	PRIMARY KEY (user_id, group_id, provider_id), 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE, 
	FOREIGN KEY(group_id) REFERENCES identity_groups (id) ON DELETE CASCADE, 
	FOREIGN KEY(provider_id) REFERENCES identity_providers (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_expiring_memberships_group ON identity_expiring_memberships (group_id);
CREATE INDEX identity_expiring_memberships_provider ON identity_expiring_memberships (provider_id);
CREATE TABLE identity_federated_users (
	id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	provider_id VARCHAR(64) NOT NULL, 
	protocol_id VARCHAR(64) NOT NULL, 
	unique_id VARCHAR(255) NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE, 
	FOREIGN KEY(provider_id) REFERENCES identity_providers (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_federated_users_provider ON identity_federated_users (provider_id);
CREATE INDEX identity_federated_users_user ON identity_federated_users (user_id);
CREATE TABLE identity_limits (
	id VARCHAR(64) NOT NULL, 
	registered_limit_id VARCHAR(64) NOT NULL, 
	holder_id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64), 
	domain_id VARCHAR(64), 
	owner_domain_id VARCHAR(64) NOT NULL, 
	resource_limit BIGINT NOT NULL, 
	description LONGTEXT, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT identity_limits_whose UNIQUE (holder_id, registered_limit_id), 
	FOREIGN KEY(registered_limit_id) REFERENCES identity_registered_limits (id) ON DELETE CASCADE, 
	FOREIGN KEY(holder_id) REFERENCES identity_projects (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_limits_registered ON identity_limits (registered_limit_id);
CREATE TABLE identity_policy_associations (
	whose VARCHAR(64) NOT NULL, 
	policy_id VARCHAR(64) NOT NULL, 
	endpoint_id VARCHAR(64), 
	service_id VARCHAR(64), 
	region_id VARCHAR(255), 
	PRIMARY KEY (whose), 
	FOREIGN KEY(policy_id) REFERENCES identity_policies (id) ON DELETE CASCADE, 
	FOREIGN KEY(endpoint_id) REFERENCES identity_endpoints (id) ON DELETE CASCADE, 
	FOREIGN KEY(service_id) REFERENCES identity_services (id) ON DELETE CASCADE, 
	FOREIGN KEY(region_id) REFERENCES identity_regions (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_policy_associations_policy ON identity_policy_associations (policy_id);
CREATE TABLE identity_project_endpoints (
	project_id VARCHAR(64) NOT NULL, 
	endpoint_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (project_id, endpoint_id), 
	FOREIGN KEY(project_id) REFERENCES identity_projects (id) ON DELETE CASCADE, 
	FOREIGN KEY(endpoint_id) REFERENCES identity_endpoints (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_project_endpoints_endpoint ON identity_project_endpoints (endpoint_id);
CREATE TABLE identity_protocols (
	id VARCHAR(64) NOT NULL, 
	provider_id VARCHAR(64) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	mapping_id VARCHAR(64) NOT NULL, 
	remote_id_attribute VARCHAR(64), 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT identity_protocols_name UNIQUE (provider_id, name), 
	FOREIGN KEY(provider_id) REFERENCES identity_providers (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE TABLE identity_remote_ids (
	remote_id VARCHAR(255) NOT NULL, 
	provider_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (remote_id), 
	FOREIGN KEY(provider_id) REFERENCES identity_providers (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_remote_ids_provider ON identity_remote_ids (provider_id);
CREATE TABLE volume_attachments (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	volume_id VARCHAR(64) NOT NULL, 
	server_id VARCHAR(64), 
	state VARCHAR(32) NOT NULL, 
	of_compute BOOL NOT NULL, 
	mode VARCHAR(8) NOT NULL, 
	device VARCHAR(255), 
	host_id VARCHAR(64), 
	host_name VARCHAR(255), 
	connector JSON, 
	boot_index BIGINT, 
	delete_on_termination BOOL NOT NULL, 
	tag VARCHAR(64), 
	attached_at BIGINT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(volume_id) REFERENCES volume_volumes (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX volume_attachments_list ON volume_attachments (project_id, created_at, id);
CREATE INDEX volume_attachments_server ON volume_attachments (server_id);
CREATE INDEX volume_attachments_volume ON volume_attachments (volume_id);
CREATE TABLE volume_snapshots (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	volume_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255), 
	description VARCHAR(255), 
	size_gib BIGINT NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	fault VARCHAR(1024), 
	host_id VARCHAR(64) NOT NULL, 
	metadata JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(volume_id) REFERENCES volume_volumes (id)
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX volume_snapshots_host ON volume_snapshots (host_id);
CREATE INDEX volume_snapshots_list ON volume_snapshots (project_id, created_at, id);
CREATE INDEX volume_snapshots_volume ON volume_snapshots (volume_id);
