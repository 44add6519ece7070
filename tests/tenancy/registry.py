# SPDX-License-Identifier: Apache-2.0
"""What the route table cannot say: a sample for each path variable, a body where its schema is too little.

The samples are ids of tests/tenancy/land.py, `$name` in bodies stands for one. A later service adds
its lines here; until then every test of its operations fails and says which line is missing.
"""

from __future__ import annotations

from typing import Any

from tests.tenancy.land import MARKER, PUBLIC_KEY

SAY = "what the caller said"
"""The words in bodies: no part of the land, so an echo of them gives nothing away."""

RULES: list[Any] = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]

EVERYBODYS = ("public", "service", "region", "member_role", "volume_type")
"""What everybody knows of: in bodies these stay when all other ids become such as nobody has."""

VARIABLES: dict[str, dict[str, str]] = {
    "identity": {
        "domain_id": "$domain", "project_id": "$project", "value": "blue", "user_id": "$owner",
        "group_id": "$group", "role_id": "$member_role", "implied_id": "$implied", "region_id": "$region",
        "service_id": "$service", "endpoint_id": "$endpoint", "application_credential_id": "$app_cred",
        "access_rule_id": "$access_rule", "registered_limit_id": "$registered_limit", "limit_id": "$limit",
        "policy_id": "$policy", "endpoint_group_id": "$endpoint_group", "group": "ldap", "option": "url",
        "credential_id": "$credential", "trust_id": "$trust",
        "consumer_id": "$oauth_consumer", "request_token_id": "$request_token", "access_token_id": "$access_token",
        "idp_id": "$idp", "protocol_id": "openid", "mapping_id": "$mapping", "sp_id": "$sp",
        "oidc_client_id": "$oidc_client",
    },
    "events": {"webhook_id": "$webhook"},
    "operator": {
        "saga_id": "$saga", "request_id": "$saga_request", "kind": "attachment", "finding_id": "$server_attachment",
    },
    "placement": {
        "uuid": "$provider", "resource_class": "CUSTOM_RAVEN", "name": "CUSTOM_RAVEN",
        "consumer_uuid": "$consumer",
    },
    "network": {
        "network_id": "$network", "subnet_id": "$subnet", "port_id": "$port", "security_group_id": "$sg",
        "rule_id": "$rule", "router_id": "$router", "floatingip_id": "$fip", "tag": "blue",
        "project_id": "$project", "alias": "router",
    },
    "image": {
        "image_id": "$image", "tag_value": "blue", "member_id": "$guest_project",
        "namespace_name": "birds", "object_name": "crow", "property_name": "raven", "tag_name": "blue",
        "resource_type": "OS::Glance::Image", "store_id": "file", "task_id": "$task",
    },
    "volume": {
        "volume_id": "$volume", "snapshot_id": "$snapshot", "attachment_id": "$attachment", "type_id": "$volume_type",
        "key": "color", "spec_key": "raven", "project_id": "$project", "class_name": "default",
        "message_id": "$faulty_snapshot",
    },
    "object": {"project_id": "$project", "container": "birds", "object_name": "crow"},
    "compute": {
        "keypair_name": "birds", "flavor_id": "$flavor", "spec_key": "raven", "project_id": "$project",
        "class_name": "default", "service_id": "$compute_service", "hypervisor_id": "$hypervisor",
        "server_id": "$server", "request_id": "$request", "key": "color", "tag": "blue",
        "network_label": "ravens", "group_id": "$server_group", "aggregate_id": "$aggregate",
        "port_id": "$server_port", "volume_id": "$server_volume",
    },
}

SAMPLES: dict[str, dict[str, str]] = {
    # Where the operation needs another sample than its service's usual one, or has it in another state.
    "identity GET /v3/roles/{role_id}/implies": {"role_id": "$role"},
    "identity HEAD /v3/roles/{role_id}/implies": {"role_id": "$role"},
    "identity PUT /v3/roles/{role_id}/implies/{implied_id}": {"role_id": "$role"},
    "identity GET /v3/roles/{role_id}/implies/{implied_id}": {"role_id": "$role"},
    "identity HEAD /v3/roles/{role_id}/implies/{implied_id}": {"role_id": "$role"},
    "identity DELETE /v3/roles/{role_id}/implies/{implied_id}": {"role_id": "$role"},
    "identity DELETE /v3/roles/{role_id}": {"role_id": "$role"},
    "identity PATCH /v3/roles/{role_id}": {"role_id": "$role"},
    "identity DELETE /v3/domains/{domain_id}": {"domain_id": "$idle_domain"},
    # The one group that is for everybody, of the one domain.
    **{
        f"identity {method} /v3/domains/{{domain_id}}/config/{{group}}{tail}": {
            "domain_id": "default", "group": "security_compliance", "option": "password_regex",
        }
        for method in ("GET", "HEAD") for tail in ("", "/{option}")
    },
    **{
        f"identity {method} /v3/registered_limits/{{registered_limit_id}}": {
            "registered_limit_id": "$idle_registered_limit",
        }
        for method in ("PATCH", "DELETE")
    },
    "identity DELETE /v3/users/{user_id}/access_rules/{access_rule_id}": {"access_rule_id": "$idle_rule"},
    "identity GET /v3/users/{user_id}/credentials/OS-EC2/{credential_id}": {"credential_id": "$key"},
    "identity HEAD /v3/users/{user_id}/credentials/OS-EC2/{credential_id}": {"credential_id": "$key"},
    "identity DELETE /v3/users/{user_id}/credentials/OS-EC2/{credential_id}": {"credential_id": "$key"},
    "placement DELETE /resource_providers/{uuid}": {"uuid": "$idle_provider"},
    "placement PUT /resource_providers/{uuid}/inventories": {"uuid": "$idle_provider"},
    "placement POST /resource_providers/{uuid}/inventories": {"uuid": "$idle_provider"},
    "placement DELETE /resource_providers/{uuid}/inventories": {"uuid": "$idle_provider"},
    "placement DELETE /resource_classes/{name}": {"name": "CUSTOM_ROOK"},
    "placement GET /traits/{name}": {"name": "CUSTOM_CROW"},
    "placement PUT /traits/{name}": {"name": "CUSTOM_CROW"},
    "placement DELETE /traits/{name}": {"name": "CUSTOM_CROW"},
    "network DELETE /v2.0/security-groups/{security_group_id}": {"security_group_id": "$idle_sg"},
    "network PUT /v2.0/routers/{router_id}/remove_router_interface": {"router_id": "$plain_router"},
    "network PUT /v2.0/routers/{router_id}/add_extraroutes": {"router_id": "$used_router"},
    "network PUT /v2.0/routers/{router_id}/remove_extraroutes": {"router_id": "$used_router"},
    "image PUT /v2/images/{image_id}/file": {"image_id": "$queued_image"},
    "image PUT /v2/images/{image_id}/stage": {"image_id": "$queued_image"},
    "image POST /v2/images/{image_id}/import": {"image_id": "$staged_image"},
    "image POST /v2/images/{image_id}/locations": {"image_id": "$queued_image"},
    "image POST /v2/images/{image_id}/actions/reactivate": {"image_id": "$sleeping_image"},
    "image POST /v2/metadefs/namespaces/{namespace_name}/tags/{tag_name}": {"tag_name": "green"},
    "object DELETE /v1/AUTH_{project_id}/{container}": {"container": "nest"},
    "volume DELETE /v3/volumes/{volume_id}": {"volume_id": "$idle_volume"},
    "volume DELETE /v3/types/{type_id}": {"type_id": "$idle_type"},
    "volume os-force_delete": {"volume_id": "$idle_volume"},
    "volume os-begin_detaching": {"volume_id": "$used_volume"},
    "volume os-detach": {"volume_id": "$used_volume"},
    "compute os-start": {"server_id": "$stopped"},
    "compute unpause": {"server_id": "$paused"},
    "compute resume": {"server_id": "$suspended"},
    "compute GET /v2.1/os-hypervisors/{hypervisor_id}/search@2.52": {"hypervisor_id": "host-1"},
    "compute GET /v2.1/os-hypervisors/{hypervisor_id}/servers@2.52": {"hypervisor_id": "host-1"},
    "compute remove_host": {"aggregate_id": "$used_aggregate"},
    "compute DELETE /v2.1/flavors/{flavor_id}": {"flavor_id": "$idle_flavor"},
}

BODIES: dict[str, Any] = {
    "identity POST /v3/users/{user_id}/application_credentials": {"application_credential": {"name": SAY}},
    "identity PUT /v3/OS-OAUTH1/authorize/{request_token_id}": {"roles": [{"name": "reader"}]},
    "identity POST /v3/ec2tokens": {
        "credentials": {
            "access": "$key", "signature": "$ec2_signature",
            "params": {"SignatureVersion": "1", "Expires": "$ec2_expires"},
        }
    },
    "identity POST /v3/s3tokens": {
        "credentials": {"access": "$key", "signature": "$s3_signature", "token": "dGV4dA=="}
    },
    "identity POST /v3/OS-TRUST/trusts": {
        "trust": {
            "trustor_user_id": "$owner", "trustee_user_id": "$owner", "impersonation": True, "project_id": "$project",
            "roles": [{"name": "reader"}],
        }
    },
    "identity POST /v3/credentials": {"credential": {"type": "cert", "blob": SAY, "user_id": "$owner"}},
    "identity POST /v3/users/{user_id}/credentials/OS-EC2": {"tenant_id": "$project"},
    "identity POST /v3/projects": {"project": {"name": SAY, "domain_id": "$domain"}},
    "identity POST /v3/users": {"user": {"name": SAY, "domain_id": "$domain"}},
    "identity POST /v3/groups": {"group": {"name": SAY, "domain_id": "$domain"}},
    "identity POST /v3/OS-OIDC/clients": {"client": {"name": SAY, "redirect_uris": ["https://app.test/back"]}},
    "identity PATCH /v3/OS-OIDC/clients/{oidc_client_id}": {"client": {"name": SAY}},
    "identity PUT /v3/OS-FEDERATION/mappings/{mapping_id}": {"mapping": {"rules": RULES}},
    "identity PATCH /v3/OS-FEDERATION/mappings/{mapping_id}": {"mapping": {"rules": RULES}},
    "identity PATCH /v3/OS-FEDERATION/identity_providers/{idp_id}": {"identity_provider": {"description": SAY}},
    "identity PUT /v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}": {
        "protocol": {"mapping_id": "$mapping"}
    },
    "identity PATCH /v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}": {
        "protocol": {"mapping_id": "$mapping"}
    },
    "identity PUT /v3/OS-FEDERATION/service_providers/{sp_id}": {
        "service_provider": {"auth_url": "https://sp.test/auth", "sp_url": "https://sp.test/sp"}
    },
    "identity PATCH /v3/OS-FEDERATION/service_providers/{sp_id}": {"service_provider": {"description": SAY}},
    "identity POST /v3/endpoints": {
        "endpoint": {"service_id": "$service", "interface": "internal", "url": "https://other.test"}
    },
    "identity POST /v3/registered_limits": {
        "registered_limits": [{"service_id": "$service", "resource_name": SAY, "default_limit": 1}]
    },
    "identity POST /v3/limits": {
        "limits": [
            {"service_id": "$service", "resource_name": "ravens", "resource_limit": 1, "domain_id": "$domain"}
        ]
    },
    "identity PUT /v3/domains/{domain_id}/config": {"config": {"ldap": {"url": "ldap://other.test"}}},
    "identity PATCH /v3/domains/{domain_id}/config": {"config": {"ldap": {"url": "ldap://other.test"}}},
    "identity PATCH /v3/domains/{domain_id}/config/{group}": {"config": {"ldap": {"url": "ldap://other.test"}}},
    "identity PATCH /v3/domains/{domain_id}/config/{group}/{option}": {"config": {"url": "ldap://other.test"}},
    "identity POST /v3/OS-EP-FILTER/endpoint_groups": {
        "endpoint_group": {"name": SAY, "filters": {"interface": "public"}}
    },
    "events POST /v1/webhooks": {
        "webhook": {"name": SAY, "url": "https://hooks.test/other", "secret": "s" * 20, "enabled": False}
    },
    "placement PUT /resource_providers/{uuid}/inventories": {
        "resource_provider_generation": 0, "inventories": {"DISK_GB": {"total": 5}},
    },
    "placement POST /resource_providers/{uuid}/inventories": {"resource_class": "DISK_GB", "total": 5},
    "placement PUT /resource_providers/{uuid}/inventories/{resource_class}": {
        "resource_provider_generation": 2, "total": 8,
    },
    "placement PUT /resource_providers/{uuid}/aggregates": {
        "aggregates": [], "resource_provider_generation": 2,
    },
    "placement PUT /resource_providers/{uuid}/aggregates@1.18": [],
    "placement PUT /resource_classes/{name}@1.6": {"name": "CUSTOM_NEW"},
    "placement PUT /resource_providers/{uuid}/traits": {
        "traits": ["CUSTOM_CROW"], "resource_provider_generation": 2,
    },
    "placement POST /resource_classes": {"name": "CUSTOM_NEW"},
    "placement PUT /allocations/{consumer_uuid}": {
        "allocations": {"$provider": {"resources": {"DISK_GB": 2}}}, "project_id": "$project",
        "user_id": "$owner", "consumer_generation": 1, "consumer_type": "INSTANCE",
    },
    "placement POST /allocations": {
        "$consumer": {
            "allocations": {"$provider": {"resources": {"DISK_GB": 2}}}, "project_id": "$project",
            "user_id": "$owner", "consumer_generation": 1, "consumer_type": "INSTANCE",
        }
    },
    "placement POST /reshaper": {
        "inventories": {
            "$provider": {
                "resource_provider_generation": 2,
                "inventories": {"CUSTOM_RAVEN": {"total": 4}, "DISK_GB": {"total": 7}},
            }
        },
        "allocations": {},
    },
    "network POST /v2.0/networks": {"network": {"name": SAY}},
    "network POST /v2.0/subnets": {
        "subnet": {"network_id": "$network", "ip_version": 4, "cidr": "10.77.9.0/24"}
    },
    "network POST /v2.0/ports": {"port": {"network_id": "$network", "security_groups": ["$sg"]}},
    "network POST /v2.0/security-group-rules": {
        "security_group_rule": {"security_group_id": "$sg", "direction": "ingress", "remote_group_id": "$sg"}
    },
    "network POST /v2.0/floatingips": {
        "floatingip": {"floating_network_id": "$public", "port_id": "$port"}
    },
    "network PUT /v2.0/routers/{router_id}/add_router_interface": {"subnet_id": "$subnet"},
    "network PUT /v2.0/routers/{router_id}/add_extraroutes": {
        "router": {"routes": [{"destination": "10.8.0.0/16", "nexthop": "10.77.2.8"}]}
    },
    "network PUT /v2.0/routers/{router_id}/remove_extraroutes": {
        "router": {"routes": [{"destination": "10.9.0.0/16", "nexthop": "10.77.2.9"}]}
    },
    "network PUT /v2.0/routers/{router_id}/remove_router_interface": {"subnet_id": "$plain_subnet"},
    "image PATCH /v2/images/{image_id}": [{"op": "replace", "path": "/name", "value": SAY}],
    "image POST /v2/images/{image_id}/import": {"method": {"name": "glance-direct"}},
    "image POST /v2/images/{image_id}/locations": {"url": "http://crow.test/disk"},
    "image POST /v2/tasks": {"type": "import", "input": {
        "import_from": "http://crow.test/disk", "import_from_format": "raw", "image_properties": {"name": SAY},
    }},
    "image POST /v2/images/{image_id}/members": {"member": "5" * 32},
    "image POST /v2/metadefs/namespaces": {"namespace": "rooks"},
    "image PUT /v2/metadefs/namespaces/{namespace_name}": {"namespace": "rooks"},
    "image POST /v2/metadefs/namespaces/{namespace_name}/objects": {"name": "rook"},
    "image PUT /v2/metadefs/namespaces/{namespace_name}/objects/{object_name}": {"name": "rook"},
    "image POST /v2/metadefs/namespaces/{namespace_name}/properties": {
        "name": "rook", "title": SAY, "type": "string",
    },
    "image PUT /v2/metadefs/namespaces/{namespace_name}/properties/{property_name}": {
        "name": "rook", "title": SAY, "type": "string",
    },
    "image POST /v2/metadefs/namespaces/{namespace_name}/tags": {"tags": [{"name": "green"}]},
    "image POST /v2/metadefs/namespaces/{namespace_name}/resource_types": {"name": "OS::Nova::Flavor"},
    "volume POST /v3/volumes": {"volume": {"name": SAY, "snapshot_id": "$snapshot"}},
    "volume PUT /v3/volumes/{volume_id}": {"volume": {"name": SAY}},
    "volume PUT /v3/volumes/{volume_id}/metadata/{key}": {"meta": {"color": SAY}},
    "volume os-extend": {"os-extend": {"new_size": 5}},
    "volume os-attach": {"os-attach": {"host_name": SAY, "mountpoint": "/dev/vdd"}},
    "volume os-reset_status": {"os-reset_status": {"status": "error"}},
    "volume os-unset_image_metadata": {"os-unset_image_metadata": {"key": "raven"}},
    "volume os-volume_upload_image": {"os-volume_upload_image": {"image_name": SAY}},
    "volume POST /v3/snapshots": {"snapshot": {"volume_id": "$volume"}},
    "volume PUT /v3/snapshots/{snapshot_id}": {"snapshot": {"name": SAY}},
    "volume PUT /v3/snapshots/{snapshot_id}/metadata/{key}": {"meta": {"color": SAY}},
    "volume POST /v3/attachments": {"attachment": {"volume_uuid": "$idle_volume"}},
    "volume PUT /v3/attachments/{attachment_id}": {"attachment": {"connector": {"host": SAY}}},
    "volume PUT /v3/types/{type_id}": {"volume_type": {"description": SAY}},
    "volume PUT /v3/types/{type_id}/extra_specs/{spec_key}": {"raven": "1"},
    "volume POST /v3/types/{type_id}/extra_specs": {"extra_specs": {"crow": "1"}},
    "volume PUT /v3/os-quota-sets/{project_id}": {"quota_set": {"volumes": 7}},
    "volume PUT /v3/os-quota-class-sets/{class_name}": {"quota_class_set": {"volumes": 7}},
    "volume PUT /v3/os-services/enable": {"host": "host-1@skyhold", "binary": "cinder-volume"},
    "volume PUT /v3/os-services/disable": {"host": "host-1@skyhold", "binary": "cinder-volume"},
    "volume PUT /v3/os-services/disable-log-reason": {
        "host": "host-1@skyhold", "binary": "cinder-volume", "disabled_reason": SAY,
    },
    "compute POST /v2.1/os-keypairs": {"keypair": {"name": "geese", "public_key": PUBLIC_KEY}},
    "compute PUT /v2.1/flavors/{flavor_id}": {"flavor": {"description": SAY}},
    "compute addTenantAccess": {"addTenantAccess": {"tenant": "$guest_project"}},
    "compute removeTenantAccess": {"removeTenantAccess": {"tenant": "$project"}},
    "compute POST /v2.1/flavors": {"flavor": {"name": SAY, "ram": 64, "vcpus": 1, "disk": 1}},
    "compute POST /v2.1/flavors/{flavor_id}/os-extra_specs": {"extra_specs": {"crow": "1"}},
    "compute PUT /v2.1/flavors/{flavor_id}/os-extra_specs/{spec_key}": {"raven": "1"},
    "compute PUT /v2.1/os-services/enable@2.52": {"host": "host-1", "binary": "nova-compute"},
    "compute PUT /v2.1/os-services/disable@2.52": {"host": "host-1", "binary": "nova-compute"},
    "compute PUT /v2.1/os-services/disable-log-reason@2.52": {
        "host": "host-1", "binary": "nova-compute", "disabled_reason": SAY,
    },
    "compute PUT /v2.1/os-services/force-down@2.52": {
        "host": "host-1", "binary": "nova-compute", "forced_down": True,
    },
    "compute PUT /v2.1/os-services/{service_id}": {"status": "disabled"},
    "compute PUT /v2.1/servers/{server_id}/metadata/{key}": {"meta": {"color": SAY}},
    "compute POST /v2.1/servers/{server_id}/metadata": {"metadata": {"more": SAY}},
    "compute POST /v2.1/os-server-groups": {"server_group": {"name": SAY, "policy": "affinity"}},
    "compute PUT /v2.1/os-aggregates/{aggregate_id}": {"aggregate": {"name": SAY}},
    "compute add_host": {"add_host": {"host": "host-1"}},
    "compute remove_host": {"remove_host": {"host": "host-1"}},
    "compute set_metadata": {"set_metadata": {"metadata": {"a": SAY}}},
    "compute POST /v2.1/servers": {
        "server": {
            "name": SAY, "imageRef": "$image", "flavorRef": "$flavor", "networks": [{"port": "$port"}],
            "security_groups": [{"name": "$sg"}],
        },
        "os:scheduler_hints": {"group": "$server_group"},
    },
    "compute PUT /v2.1/servers/{server_id}": {"server": {"name": SAY}},
    "compute addSecurityGroup": {"addSecurityGroup": {"name": "$idle_sg"}},
    "compute removeSecurityGroup": {"removeSecurityGroup": {"name": "$sg"}},
    "compute os-resetState": {"os-resetState": {"state": "error"}},
    "compute POST /v2.1/servers/{server_id}/os-interface": {"interfaceAttachment": {"net_id": "$network"}},
    "compute POST /v2.1/servers/{server_id}/os-volume_attachments": {
        "volumeAttachment": {"volumeId": "$spare_volume"}
    },
    "compute PUT /v2.1/servers/{server_id}/os-volume_attachments/{volume_id}": {
        "volumeAttachment": {"volumeId": "$server_volume", "delete_on_termination": True}
    },
}

HEADERS: dict[str, dict[str, str]] = {
    "identity GET /v3/auth/tokens": {"X-Subject-Token": "$token"},
    "identity HEAD /v3/auth/tokens": {"X-Subject-Token": "$token"},
    "identity DELETE /v3/auth/tokens": {"X-Subject-Token": "$token"},
    "object COPY /v1/AUTH_{project_id}/{container}/{object_name:path}": {"Destination": "birds/rook"},
}

QUERIES: dict[str, str] = {
    "compute GET /v2.1/os-keypairs": "user_id=$owner",
    "compute GET /v2.1/os-keypairs/{keypair_name}": "user_id=$owner",
    "compute DELETE /v2.1/os-keypairs/{keypair_name}": "user_id=$owner",
    "placement GET /usages": "project_id=$project",
    "placement GET /allocation_candidates": "resources=DISK_GB:1",
    "identity GET /v3/role_assignments": "include_names=1",
    "identity GET /v3/OS-TRUST/trusts": "trustor_user_id=$owner",
    "identity HEAD /v3/OS-TRUST/trusts": "trustor_user_id=$owner",
    "network GET /v2.0/ports": "network_id=$used_network",
    "compute GET /v2.1/servers": "project_id=$project",
}

REFUSED: dict[str, tuple[int, str]] = {
    "identity PUT /v3/OS-OAUTH1/authorize/{request_token_id}": (401, "one agrees to what one has there oneself"),
    # What even some who may do it by the rule can't do to this land, and why.
    "identity GET /v3/auth/tokens/OS-PKI/revoked": (403, "there are no such tokens"),
    "identity HEAD /v3/auth/tokens/OS-PKI/revoked": (403, "there are no such tokens"),
    "identity GET /v3/auth/catalog": (403, "an unscoped token has no catalogue"),
    "identity HEAD /v3/auth/catalog": (403, "an unscoped token has no catalogue"),
    "image PUT /v2/images/{image_id}/members/{member_id}": (403, "only the member decides"),
    "identity PUT /v3/regions/{region_id}": (409, "it is there"),
    "identity PUT /v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}": (409, "it was given"),
    "identity PUT /v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}": (
        409, "it was given"
    ),
    "identity PUT /v3/OS-FEDERATION/identity_providers/{idp_id}": (409, "it is there"),
    "identity PUT /v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}": (409, "it is there"),
    "identity PUT /v3/OS-FEDERATION/mappings/{mapping_id}": (409, "it is there"),
    "identity PUT /v3/OS-FEDERATION/service_providers/{sp_id}": (409, "it is there"),
    "events POST /v1/webhooks": (400, "a webhook belongs to a project, and a system token has none"),
    "placement DELETE /resource_providers/{uuid}/inventories@1.4": (405, "not yet in this version"),
    "compute POST /v2.1/servers": (400, "an administrator's server can't be in another project's group"),
    "image PUT /v2/images/{image_id}/file": (400, "a stream can't be rehearsed"),
    "image PUT /v2/images/{image_id}/stage": (400, "a stream can't be rehearsed"),
    "image POST /v2/images/{image_id}/locations": (400, "no store of this land reads URLs"),
    "image GET /v2/images/{image_id}/locations": (403, "for services"),
    "image DELETE /v2/stores/{store_id}/{image_id}": (403, "the image is nowhere else"),
    "object PUT /v1/AUTH_{project_id}/{container}/{object_name:path}": (400, "a stream can't be rehearsed"),
    "compute DELETE /v2.1/os-services/{service_id}": (409, "the host has servers"),
    "network POST /v2.0/networks/{network_id}/tags": (409, "the tag is there"),
    "operator POST /v1/rotate-keys": (400, "files can't be rehearsed"),
    "operator POST /v1/sagas/{saga_id}/retry": (409, "it has ended"),
    "operator POST /v1/mend/{kind}/{finding_id}": (409, "the server that has the volume is there"),
    "operator POST /v1/sagas/{saga_id}/abort": (409, "it has ended"),
}

UNKNOWN: dict[str, tuple[int, str]] = {
    "image DELETE /v2/stores/{store_id}/{image_id}": (409, "as upstream: the image is there, the store isn't"),
    # Answers to an id that nobody has, other than 404.
    "identity PUT /v3/regions/{region_id}": (201, "makes it"),
    **{
        f"identity {method} /v3/domains/{{domain_id}}/config/{{group}}{tail}": (403, "of the default domain alone")
        for method in ("GET", "HEAD") for tail in ("", "/{option}")
    },
    "identity GET /v3/domains/config/{group}/default": (403, "there are only some groups"),
    "identity HEAD /v3/domains/config/{group}/default": (403, "there are only some groups"),
    "identity GET /v3/domains/config/{group}/{option}/default": (403, "there are only some groups"),
    "identity HEAD /v3/domains/config/{group}/{option}/default": (403, "there are only some groups"),
    "identity PUT /v3/OS-FEDERATION/identity_providers/{idp_id}": (201, "makes it"),
    "identity PUT /v3/OS-FEDERATION/mappings/{mapping_id}": (201, "makes it"),
    "identity PUT /v3/OS-FEDERATION/service_providers/{sp_id}": (201, "makes it"),
    "identity GET /v3/users/{user_id}/access_rules": (200, "upstream: nobody's rules are none"),
    "identity HEAD /v3/users/{user_id}/access_rules": (200, "upstream: nobody's rules are none"),
    "placement DELETE /resource_providers/{uuid}/inventories@1.4": (405, "not yet in this version"),
    "placement PUT /resource_classes/{name}": (201, "makes it"),
    "placement PUT /traits/{name}": (201, "makes it"),
    "operator GET /v1/trace/{request_id}": (200, "nothing is known of it"),
    "placement GET /allocations/{consumer_uuid}": (200, "nobody's allocations are none"),
    "placement PUT /allocations/{consumer_uuid}": (409, "a new consumer has no generation yet"),
    "network GET /v2.0/quotas/{project_id}": (200, "upstream does not ask identity"),
    "network GET /v2.0/quotas/{project_id}/default": (200, "upstream does not ask identity"),
    "network GET /v2.0/quotas/{project_id}/details": (200, "upstream does not ask identity"),
    "network GET /v2.0/quotas/{project_id}/details.json": (200, "upstream does not ask identity"),
    "network PUT /v2.0/quotas/{project_id}": (200, "upstream does not ask identity"),
    "network DELETE /v2.0/quotas/{project_id}": (204, "upstream does not ask identity"),
    "volume DELETE /v3/os-quota-sets/{project_id}": (200, "as upstream: also of projects that are gone"),
    "volume GET /v3/os-quota-class-sets/{class_name}": (200, "a class without limits has the defaults"),
    "volume PUT /v3/os-quota-class-sets/{class_name}": (400, "there is only the default class"),
    "compute GET /v2.1/os-quota-sets/{project_id}": (400, "as upstream says it"),
    "compute GET /v2.1/os-quota-sets/{project_id}/detail": (400, "as upstream says it"),
    "compute GET /v2.1/os-quota-sets/{project_id}/defaults": (400, "as upstream says it"),
    "compute PUT /v2.1/os-quota-sets/{project_id}": (400, "as upstream says it"),
    "compute DELETE /v2.1/os-quota-sets/{project_id}": (202, "as upstream: also of projects that are gone"),
    "compute GET /v2.1/os-quota-class-sets/{class_name}": (200, "a class without limits has the defaults"),
    "compute PUT /v2.1/os-quota-class-sets/{class_name}": (400, "there is only the default class"),
}
assert MARKER not in repr((VARIABLES, SAMPLES, BODIES, QUERIES))
