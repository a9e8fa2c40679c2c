"""Tests of others that cannot pass, by the reason. One that passes after all fails the run."""

from __future__ import annotations

__all__ = ["EXPECTED", "MAY_PASS", "NOT_RUN"]

SERVERS_OWN = "redis.Redis itself fails it on servers of this kind or version"
OWN_KEYS = "hybrid's own keys lie in the same database: a scan may need one call more"
NO_CONNECTION = "client() gives no connection of its own, so it is not found in CLIENT LIST and cannot be cut"
MAY_PASS = (SERVERS_OWN, OWN_KEYS, NO_CONNECTION)

ELSEWHERE = "it opens connections of its own to localhost:6379 or 6380"
ALL_PARSERS = "it breaks the parser of every connection in the process, those of hybrid's threads too"
NOT_RUN = (ELSEWHERE, ALL_PARSERS)

EXPECTED: dict[str, tuple[str, ...]] = {
    SERVERS_OWN: (
        "test_commands.py::TestRedisCommands::test_acl_getuser_setuser",
        "test_commands.py::TestRedisCommands::test_lolwut",
        "test_commands.py::TestRedisCommands::test_cluster_count_failure_reports",
        "test_commands.py::TestRedisCommands::test_cluster_countkeysinslot",
        "test_commands.py::TestRedisCommands::test_cluster_info",
        "test_commands.py::TestRedisCommands::test_cluster_nodes",
        "test_commands.py::TestRedisCommands::test_cluster_slaves",
        "test_commands.py::TestRedisCommands::test_cluster_keyslot",
        "test_commands.py::TestRedisCommands::test_xgroup_create_entriesread",
        "test_commands.py::TestRedisCommands::test_module",
        "test_commands.py::TestRedisCommands::test_module_loadex",
        "test_pubsub.py::TestPubSubSubcommands::test_pubsub_shardnumsub",
        "test_pubsub.py::TestPubSubSubcommands::test_generator_handles_concurrent_mapping_changes",
    ),
    OWN_KEYS: (
        "test_commands.py::TestRedisCommands::test_lists_with_byte_keys",
        "test_commands.py::TestRedisCommands::test_lists_with_memoryview_keys",
        "test_commands.py::TestRedisCommands::test_scan",
        "test_commands.py::TestRedisCommands::test_scan_type",
    ),
    ALL_PARSERS: ("test_pubsub.py::TestBaseException::test_base_exception",),
    ELSEWHERE: (
        "test_commands.py::TestRedisCommands::test_client_setinfo",
        "test_commands.py::TestRedisCommands::test_client_setinfo_with_driver_info",
        "test_commands.py::TestRedisCommands::test_psync",
    ),
    "hybrid owns its connections: their state is no command's to change": (
        "test_commands.py::TestRedisCommands::test_auth",
        "test_commands.py::TestRedisCommands::test_client_tracking",
        "test_commands.py::TestRedisCommands::test_client_reply",
        "test_commands.py::TestRedisCommands::test_reset",
        "test_commands.py::TestRedisCommands::test_quit",
        "test_commands.py::TestRedisCommands::test_cluster_reset",
        "test_commands.py::TestRedisCommands::test_readonly",
    ),
    "a store's set-up is changed on each store directly": (
        "test_commands.py::TestRedisCommands::test_acl_dryrun",
        "test_commands.py::TestRedisCommands::test_acl_deluser",
        "test_commands.py::TestRedisCommands::test_acl_list",
        "test_commands.py::TestRedisCommands::test_acl_log",
        "test_commands.py::TestRedisCommands::test_acl_setuser_categories_without_prefix_fails",
        "test_commands.py::TestRedisCommands::test_acl_setuser_commands_without_prefix_fails",
        "test_commands.py::TestRedisCommands::test_acl_setuser_add_passwords_and_nopass_fails",
        "test_commands.py::TestRedisCommands::test_client_kill_filter_by_user",
        "test_commands.py::TestRedisCommands::test_config_set",
        "test_commands.py::TestRedisCommands::test_config_set_multi_params",
        "test_commands.py::TestRedisCommands::test_slowlog_get",
        "test_commands.py::TestRedisCommands::test_slowlog_get_limit",
        "test_commands.py::TestRedisCommands::test_slowlog_length",
    ),
    NO_CONNECTION: (
        "test_commands.py::TestRedisCommands::test_client_list_client_id",
        "test_commands.py::TestRedisCommands::test_client_kill",
        "test_commands.py::TestRedisCommands::test_client_kill_filter_by_id",
        "test_commands.py::TestRedisCommands::test_client_kill_filter_by_addr",
        "test_commands.py::TestRedisCommands::test_client_kill_filter_by_laddr",
        "test_commands.py::TestRedisCommands::test_interrupted_command",
    ),
    "it would stop one store's writers, hybrid's own among them": (
        "test_commands.py::TestRedisCommands::test_client_pause",
        "test_commands.py::TestRedisCommands::test_client_pause_all",
        "test_commands.py::TestRedisCommands::test_client_unpause",
    ),
    "only database 0 is kept on both stores": (
        "test_commands.py::TestRedisCommands::test_select",
        "test_commands.py::TestRedisCommands::test_copy_to_another_database",
    ),
    "hybrid owns which store replicates what; a cluster is administered directly": (
        "test_commands.py::TestRedisCommands::test_cluster_addslots",
        "test_commands.py::TestRedisCommands::test_cluster_delslots",
        "test_commands.py::TestRedisCommands::test_cluster_failover",
        "test_commands.py::TestRedisCommands::test_cluster_forget",
        "test_commands.py::TestRedisCommands::test_cluster_meet",
        "test_commands.py::TestRedisCommands::test_cluster_replicate",
        "test_commands.py::TestRedisCommands::test_cluster_saveconfig",
        "test_commands.py::TestRedisCommands::test_cluster_setslot",
        "test_commands.py::TestRedisCommands::test_replicaof",
    ),
    "scripts and functions must name their keys": (
        "test_function.py::TestFunction::test_function_flush",
        "test_monitor.py::TestMonitor::test_lua_script",
        "test_scripting.py::TestScripting::test_eval_msgpack",
        "test_scripting.py::TestScripting::test_eval_msgpack_pipeline_error_in_lua",
    ),
    "a subscription connects anew by itself, and moves: the caller sees no ConnectionError and no dead socket": (
        "test_pubsub.py::TestPubSubConnectionKilled::test_connection_error_raised_when_connection_dies",
        "test_pubsub.py::TestPubSubAutoReconnect::test_reconnect_socket_error",
    ),
}
