"""Of redis-py's own suites."""

from __future__ import annotations

from scripts.public_suites.expected.reasons import (
    ALL_PARSERS,
    CONNECTION,
    ELSEWHERE,
    NO_CONNECTION,
    ONE_DATABASE,
    OWN_KEYS,
    PAUSE,
    SERVERS_OWN,
    SETUP,
    Expected,
)

__all__ = ["REDIS_PY", "REDIS_PY_ASYNCIO"]

REDIS_PY: Expected = {
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
    CONNECTION: (
        "test_commands.py::TestRedisCommands::test_auth",
        "test_commands.py::TestRedisCommands::test_client_tracking",
        "test_commands.py::TestRedisCommands::test_client_reply",
        "test_commands.py::TestRedisCommands::test_reset",
        "test_commands.py::TestRedisCommands::test_quit",
        "test_commands.py::TestRedisCommands::test_cluster_reset",
        "test_commands.py::TestRedisCommands::test_readonly",
    ),
    SETUP: (
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
        "test_commands.py::TestRedisCommands::test_client_getredir",  # in RESP3 hybrid has tracking switched on
        "test_commands.py::TestRedisCommands::test_client_list_client_id",
        "test_commands.py::TestRedisCommands::test_client_kill",
        "test_commands.py::TestRedisCommands::test_client_kill_filter_by_id",
        "test_commands.py::TestRedisCommands::test_client_kill_filter_by_addr",
        "test_commands.py::TestRedisCommands::test_client_kill_filter_by_laddr",
        "test_commands.py::TestRedisCommands::test_interrupted_command",
    ),
    PAUSE: (
        "test_commands.py::TestRedisCommands::test_client_pause",
        "test_commands.py::TestRedisCommands::test_client_pause_all",
        "test_commands.py::TestRedisCommands::test_client_unpause",
    ),
    ONE_DATABASE: (
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
    "a subscription connects anew by itself, and moves: the caller sees no ConnectionError and no dead socket": (
        "test_pubsub.py::TestPubSubConnectionKilled::test_connection_error_raised_when_connection_dies",
        "test_pubsub.py::TestPubSubAutoReconnect::test_reconnect_socket_error",
    ),
}

REDIS_PY_ASYNCIO: Expected = {
    ONE_DATABASE: ("test_commands.py::TestRedisCommands::test_bitfield_operations",),
    NO_CONNECTION: (
        "test_encoding.py::TestMemoryviewsAreNotPacked::test_memoryviews_are_not_packed",
        "test_pipeline.py::TestPipeline::test_pipeline_reset_releases_connection_when_cancelled",
    ),
    "monitor() shows the UNWATCH of hybrid's own connections": (
        "test_pipeline.py::TestPipeline::test_watch_exec_no_unwatch",
    ),
    "timeouts are hybrid's settings, not the connection's": (
        "test_pubsub.py::TestAsyncPubSubBlockingListen::test_blocking_listen_does_not_mutate_socket_timeout",
    ),
}
"""Besides those of the other client's suite that have the same names."""
