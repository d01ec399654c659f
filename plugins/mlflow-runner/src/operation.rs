//! The operations by name: what requests are measured under, and what suites call them.

pub const CREATE_EXPERIMENT: &str = "create_experiment";
pub const CREATE_PROMPT: &str = "create_prompt";
pub const CREATE_PROMPT_VERSION: &str = "create_prompt_version";
pub const CREATE_RUN: &str = "create_run";
pub const LOG_METRIC: &str = "log_metric";
pub const LOG_PARAMETER: &str = "log_parameter";
pub const LOG_BATCH: &str = "log_batch";
pub const LOG_ARTIFACT: &str = "log_artifact";
pub const UPDATE_RUN_STATUS: &str = "update_run_status";
pub const LIST_WORKSPACES: &str = "list_workspaces";
pub const SEARCH_PROMPTS: &str = "search_prompts";
pub const SEARCH_EXPERIMENTS: &str = "search_experiments";
pub const GET_EXPERIMENT: &str = "get_experiment";
pub const SEARCH_RUNS: &str = "search_runs";
pub const GET_RUN: &str = "get_run";
pub const LIST_ARTIFACTS: &str = "list_artifacts";
pub const FETCH_ARTIFACT: &str = "fetch_artifact";

/// All of them: what a training iteration does, then what a browsing one does.
pub const ALL: [&str; 17] = [
    CREATE_EXPERIMENT,
    CREATE_PROMPT,
    CREATE_PROMPT_VERSION,
    CREATE_RUN,
    LOG_METRIC,
    LOG_PARAMETER,
    LOG_BATCH,
    LOG_ARTIFACT,
    UPDATE_RUN_STATUS,
    LIST_WORKSPACES,
    SEARCH_PROMPTS,
    SEARCH_EXPERIMENTS,
    GET_EXPERIMENT,
    SEARCH_RUNS,
    GET_RUN,
    LIST_ARTIFACTS,
    FETCH_ARTIFACT,
];
