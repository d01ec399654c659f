//! The operations of the API, by the names that settings and metrics use.

use std::fmt;
use std::str::FromStr;

macro_rules! operations {
    ($($variant:ident $name:literal $service:literal $method:literal $counter:expr,)+) => {
        /// An operation of Kubeflow Pipelines' API, or one of its two upload routes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $(#[doc = concat!("`", $name, "`")] $variant,)+
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name that settings and metrics use, like `create_run`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The service and the method behind the gateway; both are empty for the upload routes.
            pub(crate) const fn rpc(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$variant => ($service, $method),)+
                }
            }

            /// The server's own counter of the requests, where it has one.
            pub(crate) const fn counter(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => $counter,)+
                }
            }
        }
    };
}

operations! {
    UploadPipeline "upload_pipeline" "" "" Some("pipeline_upload_requests"),
    UploadPipelineVersion "upload_pipeline_version" "" "" Some("pipeline_version_upload_requests"),
    CreatePipeline "create_pipeline" "PipelineService" "CreatePipeline" Some("pipeline_server_create_requests"),
    CreatePipelineAndVersion "create_pipeline_and_version" "PipelineService" "CreatePipelineAndVersion"
        Some("pipeline_server_create_requests"),
    ListPipelines "list_pipelines" "PipelineService" "ListPipelines" Some("pipeline_server_list_requests"),
    GetPipeline "get_pipeline" "PipelineService" "GetPipeline" Some("pipeline_server_get_requests"),
    GetPipelineByName "get_pipeline_by_name" "PipelineService" "GetPipelineByName" Some("pipeline_server_get_requests"),
    UpdatePipeline "update_pipeline" "PipelineService" "UpdatePipeline" Some("pipeline_server_update_requests"),
    DeletePipeline "delete_pipeline" "PipelineService" "DeletePipeline" Some("pipeline_server_delete_requests"),
    CreatePipelineVersion "create_pipeline_version" "PipelineService" "CreatePipelineVersion"
        Some("pipeline_server_create_version_requests"),
    ListPipelineVersions "list_pipeline_versions" "PipelineService" "ListPipelineVersions"
        Some("pipeline_server_list_version_requests"),
    GetPipelineVersion "get_pipeline_version" "PipelineService" "GetPipelineVersion"
        Some("pipeline_server_get_version_requests"),
    UpdatePipelineVersion "update_pipeline_version" "PipelineService" "UpdatePipelineVersion"
        Some("pipeline_server_update_version_requests"),
    DeletePipelineVersion "delete_pipeline_version" "PipelineService" "DeletePipelineVersion"
        Some("pipeline_server_delete_version_requests"),
    CreateExperiment "create_experiment" "ExperimentService" "CreateExperiment"
        Some("experiment_server_create_requests"),
    ListExperiments "list_experiments" "ExperimentService" "ListExperiments" Some("experiment_server_list_requests"),
    GetExperiment "get_experiment" "ExperimentService" "GetExperiment" Some("experiment_server_get_requests"),
    DeleteExperiment "delete_experiment" "ExperimentService" "DeleteExperiment"
        Some("experiment_server_delete_requests"),
    ArchiveExperiment "archive_experiment" "ExperimentService" "ArchiveExperiment"
        Some("experiment_server_archive_requests"),
    UnarchiveExperiment "unarchive_experiment" "ExperimentService" "UnarchiveExperiment"
        Some("experiment_server_unarchive_requests"),
    CreateRun "create_run" "RunService" "CreateRun" Some("run_server_create_requests"),
    ListRuns "list_runs" "RunService" "ListRuns" Some("run_server_list_requests"),
    GetRun "get_run" "RunService" "GetRun" Some("run_server_get_requests"),
    DeleteRun "delete_run" "RunService" "DeleteRun" Some("run_server_delete_requests"),
    TerminateRun "terminate_run" "RunService" "TerminateRun" Some("run_server_terminate_requests"),
    RetryRun "retry_run" "RunService" "RetryRun" Some("run_server_retry_requests"),
    ArchiveRun "archive_run" "RunService" "ArchiveRun" Some("run_server_archive_requests"),
    UnarchiveRun "unarchive_run" "RunService" "UnarchiveRun" Some("run_server_unarchive_requests"),
    ReadArtifact "read_artifact" "RunService" "ReadArtifact" Some("run_server_read_artifact_requests"),
    CreateRecurringRun "create_recurring_run" "RecurringRunService" "CreateRecurringRun"
        Some("job_server_create_requests"),
    ListRecurringRuns "list_recurring_runs" "RecurringRunService" "ListRecurringRuns" Some("job_server_list_requests"),
    GetRecurringRun "get_recurring_run" "RecurringRunService" "GetRecurringRun" Some("job_server_get_requests"),
    DeleteRecurringRun "delete_recurring_run" "RecurringRunService" "DeleteRecurringRun"
        Some("job_server_delete_requests"),
    EnableRecurringRun "enable_recurring_run" "RecurringRunService" "EnableRecurringRun"
        Some("job_server_enable_requests"),
    DisableRecurringRun "disable_recurring_run" "RecurringRunService" "DisableRecurringRun"
        Some("job_server_disable_requests"),
    ReportWorkflow "report_workflow" "ReportService" "ReportWorkflow" None,
    ReportScheduledWorkflow "report_scheduled_workflow" "ReportService" "ReportScheduledWorkflow" None,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no operation has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no operation `{0}`")]
pub struct UnknownOperation(String);

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(name: &str) -> Result<Self, UnknownOperation> {
        let found = Self::ALL.iter().find(|operation| operation.name() == name);
        found.copied().ok_or_else(|| UnknownOperation(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_its_operations_own() {
        let names: BTreeSet<&str> = Operation::ALL.iter().map(|operation| operation.name()).collect();
        assert_eq!(names.len(), Operation::ALL.len());
        for operation in Operation::ALL {
            assert_eq!(operation.name().parse(), Ok(*operation));
        }
        assert_eq!("list_run".parse::<Operation>().unwrap_err().to_string(), "there is no operation `list_run`");
    }
}
