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
	state VARCHAR(16) NOT NULL, 
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
	`blob` VARCHAR(160), 
	upload_seen_at BIGINT, 
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
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT identity_app_credentials_name UNIQUE (user_id, name), 
	FOREIGN KEY(user_id) REFERENCES identity_users (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
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
CREATE TABLE identity_project_tags (
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	PRIMARY KEY (project_id, name), 
	FOREIGN KEY(project_id) REFERENCES identity_projects (id) ON DELETE CASCADE
)ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_nopad_bin;
CREATE INDEX identity_project_tags_name ON identity_project_tags (name);
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
