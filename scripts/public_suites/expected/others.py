"""Of the suites of fakeredis and of frameworks."""

from __future__ import annotations

from scripts.public_suites.expected.reasons import (
    ADDRESS,
    CONNECTION,
    ELSEWHERE,
    HASTE,
    HURRY,
    LINES,
    NO_CONNECTION,
    OLDER,
    ONE_DATABASE,
    ORDER,
    OWN_KEYS,
    PATCHED,
    PAUSE,
    SCRIPTS,
    SERVERS_OWN,
    SETUP,
    SPAWNED,
    Expected,
)

__all__ = [
    "ARQ",
    "CACHELIB",
    "CELERY_REDBEAT",
    "DJANGO_REDIS",
    "FAKEREDIS",
    "FLASK_CACHING",
    "KOMBU",
    "LIMITS",
    "PYRATE_LIMITER",
    "PYTHON_REDIS_LOCK",
    "RQ",
    "THROTTLED",
]

_REGISTRATION = "test/test_mixins/test_function_commands.py::test_function_load_reports_registration_errors"
_REGISTRATIONS = (
    "redis.call('SET', 'a', 'b')-user_function:2: Script attempted to access nonexistent global variable 'call'",
    "redis.register_function('f', 'nope')-second argument to {api}.register_function must be a function",
)

FAKEREDIS: Expected = {
    SETUP: (
        "test/test_mixins/test_acl_commands.py::test_acl_getuser_setuser",
        "test/test_mixins/test_acl_commands.py::test_acl_list",
        "test/test_mixins/test_acl_commands.py::test_acl_log_auth_exist",
        "test/test_mixins/test_acl_commands.py::test_acl_log_invalid_channel",
        "test/test_mixins/test_acl_commands.py::test_acl_log_invalid_key",
        "test/test_mixins/test_acl_commands.py::test_acl_users",
        "test/test_mixins/test_acl_commands.py::test_acl_whoami",
        "test/test_mixins/test_acl_commands.py::test_auth",
        "test/test_mixins/test_stream_trimming.py::test_xtrim_approximate_follows_the_node_settings",
    ),
    PAUSE: (
        "test/test_mixins/test_connection_commands.py::test_client_pause",
        "test/test_mixins/test_connection_commands.py::test_client_unpause",
    ),
    CONNECTION: (
        "test/test_mixins/test_connection_commands.py::test_client_kill_by_id",
        "test/test_mixins/test_connection_commands.py::test_client_kill_removes_client_from_client_list",
        "test/test_mixins/test_connection_commands.py::test_client_reply_off_suppresses_replies_until_on",
        "test/test_mixins/test_connection_commands.py::test_client_reply_on_is_the_default",
        "test/test_mixins/test_connection_commands.py::test_client_reply_skip_skips_only_the_next_command",
        "test/test_mixins/test_connection_commands.py::test_client_unblock_timeout",
        "test/test_mixins/test_connection_commands.py::test_reset_clears_connection_state",
        "test/test_mixins/test_connection_commands.py::test_reset_discards_transaction",
        "test/test_mixins/test_connection_commands.py::test_reset_resets_protocol_to_resp2",
        "test/test_mixins/test_connection_commands.py::test_reset_returns_reset",
        "test/test_mixins/test_connection_commands.py::test_reset_unsubscribes[Strict2]",
        "test/test_mixins/test_transactions_commands.py::test_exec_bad_arguments",
        "test/test_mixins/test_transactions_commands.py::test_exec_bad_arguments_abort",
        "test/test_mixins/test_transactions_commands.py::test_watch_state_is_cleared_after_abort",
    ),
    SCRIPTS: (
        "test/test_mixins/test_scripting_commands.py::test_deleting_while_scan",
        "test/test_mixins/test_scripting_commands.py::test_eval_flushall",
        "test/test_mixins/test_scripting_commands.py::test_eval_flushdb",
    ),
    LINES: (
        "test/test_mixins/test_function_commands.py::test_fcall_bad_redis_calls",
        "test/test_mixins/test_function_commands.py::test_fcall_ro_and_no_writes_functions",
        "test/test_mixins/test_function_commands.py::test_function_runs_in_a_sandbox",
        *(f"{_REGISTRATION}[{client}-{case}]" for client in ("Strict2", "Strict3") for case in _REGISTRATIONS),
    ),
    NO_CONNECTION: (
        "test/test_async/test_blocking.py::test_blocking_client_unblock_error",
        "test/test_async/test_blocking.py::test_blocking_client_unblock_timeout",
    ),
    ONE_DATABASE: (
        "test/test_mixins/test_generic_commands.py::test_copy_db_does_not_share_value_with_source",
        "test/test_mixins/test_generic_commands.py::test_copy_db_index_out_of_range",
        "test/test_mixins/test_generic_commands.py::test_copy_db_replaces_with_expire",
        "test/test_mixins/test_generic_commands.py::test_copy_invalid_db",
        "test/test_mixins/test_generic_commands.py::test_copy_non_existing_key",
        "test/test_mixins/test_generic_commands.py::test_copy_same_db",
        "test/test_mixins/test_generic_commands.py::test_copy_to_db_0",
        "test/test_mixins/test_server_commands.py::test_swapdb",
        "test/test_mixins/test_server_commands.py::test_swapdb_same_db",
        "test/test_mixins/test_transactions_commands.py::test_move_invalidates_watch_on_both_databases",
        "test/test_mixins/test_transactions_commands.py::test_multidb",
        "test/test_mixins/test_transactions_commands.py::test_pipeline_move",
    ),
    OWN_KEYS: ("test/test_mixins/test_generic_scan_commands.py::test_scan_single",),
    SERVERS_OWN: (
        "test/test_mixins/test_connection_commands.py::test_client_info",
        "test/test_mixins/test_stream_groups.py::test_xinfo_groups_lag_after_trimming_past_the_group",
        "test/test_mixins/test_streams_commands.py::test_xclaim_of_an_entry_deleted_from_the_stream_releases_the_owner",
    ),
    ORDER: ("test/test_async/test_asyncredis.py::test_async_xread",),
}

RQ: Expected = {
    ADDRESS: (
        "test_cli.py::CronCLITestCase::test_cron_execution_with_url",
        "test_cli.py::TestRQCli::test_config_env_vars",
        "test_cli.py::TestRQCli::test_config_file_default_options",
        "test_cli.py::TestRQCli::test_config_file_default_options_override",
        "test_cli.py::TestRQCli::test_config_file_option",
        "test_connection.py::TestConnectionInheritance::test_parse_connection",
        "test_helpers.py::TestHelpers::test_get_redis_from_config",
        "test_scheduler.py::TestQueue::test_custom_connection_pool",
        "test_scheduler.py::TestQueue::test_no_custom_connection_pool",
        "test_scheduler.py::TestScheduler::test_prepare_registries",
    ),
    HURRY: ("test_worker_pool.py::TestWorkerPool::test_reap_workers",),
    SPAWNED: (
        "test_worker.py::TestWorkerSubprocess::test_run_access_self",
        "test_worker.py::TestWorkerSubprocess::test_run_empty_queue",
        "test_worker.py::TestWorkerSubprocess::test_run_scheduled_access_self",
        "test_spawn_worker.py::TestWorker::test_horse_gets_own_process_group_at_spawn",
        "test_spawn_worker.py::TestWorker::test_horse_rebuilds_ssl_connection",
        "test_spawn_worker.py::TestWorker::test_horse_rebuilds_unix_socket_connection",
        "test_spawn_worker.py::TestWorker::test_horse_receives_worker_configuration",
        "test_spawn_worker.py::TestWorker::test_horse_uses_exception_handlers",
        "test_spawn_worker.py::TestWorker::test_work_and_quit",
        "test_spawn_worker.py::TestWorker::test_work_fails",
    ),
    PATCHED: (
        "test_rate_limit.py::TestRateLimitRegistry::test_cleanup_keeps_slot_reacquired_after_status_read",
        "test_rate_limit.py::TestRateLimitEnqueue::test_release_after_aborted_immediate_repeat",
        "test_registry.py::TestReadyJobRegistry::test_enqueue_jobs_concedes_on_watcherror",
    ),
}

DJANGO_REDIS: Expected = {
    ADDRESS: (
        "test_cache_options.py::test_get_django_omit_exceptions",
        "test_cache_options.py::test_get_django_omit_exceptions_priority_2",
    ),
}

KOMBU: Expected = {}

CACHELIB: Expected = {
    ADDRESS: tuple(
        f"test_redis_cache.py::TestRedisCacheCheckConnection::test_unreachable_server_raises_when_enabled[{kind}-{prefix}]"
        for kind in ("RedisCache", "CustomCache")
        for prefix in ("no_key_prefix", "with_key_prefix")
    ),
}

ARQ: Expected = {
    HASTE: ("test_worker.py::test_default_job_expiry",),
    OLDER: ("test_worker.py::test_worker_retry", "test_worker.py::test_worker_crash"),
}

FLASK_CACHING: Expected = {
    NO_CONNECTION: tuple(
        f"test_basic_app.py::test_app_redis_cache_backend_url_{what}"
        for what in ("default_db", "custom_db", "explicit_db_arg")
    ),
}

LIMITS: Expected = {
    HASTE: (
        "test_strategy.py::TestMovingWindow::test_moving_window",
        "test_strategy.py::TestMovingWindow::test_moving_window_huge_cost",
        "test_strategy.py::TestSlidingWindow::test_sliding_window_counter_previous_window",
        "aio/test_strategy.py::TestAsyncMovingWindow::test_moving_window",
        "aio/test_strategy.py::TestAsyncMovingWindow::test_moving_window_huge_cost",
        "aio/test_strategy.py::TestAsyncSlidingWindow::test_sliding_window_counter_previous_window",
    ),
}

PYTHON_REDIS_LOCK: Expected = {
    ELSEWHERE: (
        "test_redis_lock.py::test_simple",
        "test_redis_lock.py::test_simple_auto_renewal",
        "test_redis_lock.py::test_no_block",
        "test_redis_lock.py::test_timeout_acquired",
        "test_redis_lock.py::test_expire",
        "test_redis_lock.py::test_no_overlap",
    ),
}

PYRATE_LIMITER: Expected = {
    HASTE: tuple(
        f"test_bucket_all.py::test_bucket_performance[create_{kind}bucket]" for kind in ("redis_", "async_redis_")
    ),
}

CELERY_REDBEAT: Expected = {
    ADDRESS: (
        "test_scheduler.py::SSLConnectionToRedis::test_ssl_connection_scheduler",
        "test_scheduler.py::SSLConnectionToRedisDefaultBrokerSSL::test_ssl_connection_scheduler",
        "test_scheduler.py::SSLConnectionToRedisNoCerts::test_ssl_connection_scheduler",
        "test_scheduler.py::RedisWithCredentialProvider::test_redis_with_credential_provider_scheduler",
        "test_scheduler.py::RedBeatStartupAcquiresLock::test_connection_error",
    ),
}

THROTTLED: Expected = {
    HASTE: tuple(
        f"{folder}rate_limiter/test_leaking_bucket.py::TestLeakingBucketRateLimiter::test_peek[redis]"
        for folder in ("", "asyncio/")
    ),
}
