"""Drives the real Kubeflow Pipelines SDK against the server whose address is the first argument.

Exits with an assertion's message if the server does not behave as the SDK expects.
"""

import sys
import tempfile

import kfp
import kfp_server_api
from kfp import dsl


@dsl.container_component
def pause(seconds: int):
    return dsl.ContainerSpec(image="busybox", command=["sleep"], args=[seconds])


@dsl.component
def add(a: int, b: int) -> int:
    return a + b


@dsl.pipeline(name="sdk-made")
def pipeline(seconds: int = 2):
    first = pause(seconds=seconds)
    total = add(a=1, b=2).after(first)
    with dsl.ParallelFor([1, 2]) as item:
        add(a=total.output, b=item)


def refused(status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kfp_server_api.ApiException as error:
        assert error.status == status, f"wanted {status}, got {error.status}: {error.body}"
        return error
    raise AssertionError(f"{call.__name__} was not refused")


def main(url):
    client = kfp.Client(host=url)
    assert client.get_kfp_healthz().multi_user is False

    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        kfp.compiler.Compiler().compile(pipeline, file.name)
        uploaded = client.upload_pipeline(file.name, pipeline_name="sdk", description="made by the SDK")
        version = client.upload_pipeline_version(file.name, "second", pipeline_id=uploaded.pipeline_id)
        refused(409, client.upload_pipeline, file.name, pipeline_name="sdk")
        inline = client.create_run_from_pipeline_package(file.name, arguments={"seconds": 1}, run_name="inline")
    assert client.get_pipeline_id("sdk") == uploaded.pipeline_id
    assert client.get_pipeline(uploaded.pipeline_id).description == "made by the SDK"
    versions = client.list_pipeline_versions(uploaded.pipeline_id, sort_by="created_at desc")
    assert versions.total_size == 2 and len(versions.pipeline_versions) == 2

    experiment = client.create_experiment("sdk experiment")
    again = client.create_experiment("sdk experiment")
    assert again.experiment_id == experiment.experiment_id

    def start(name, **more):
        return client.run_pipeline(
            experiment.experiment_id,
            name,
            pipeline_id=uploaded.pipeline_id,
            version_id=version.pipeline_version_id,
            **more,
        )

    run = start("first", params={"seconds": 3})
    done = client.wait_for_run_completion(run.run_id, timeout=120, sleep_duration=1)
    assert done.state == "SUCCEEDED", done.state
    names = [task.display_name for task in done.run_details.task_details]
    for name in ["root-driver", "root", "pause-driver", "pause", "executor", "add"]:
        assert name in names, names
    assert done.finished_at >= done.created_at
    assert client.wait_for_run_completion(inline.run_id, timeout=120, sleep_duration=1).state == "SUCCEEDED"

    stopped = start("stopped", params={"seconds": 100000})
    client.terminate_run(stopped.run_id)
    assert client.wait_for_run_completion(stopped.run_id, timeout=120, sleep_duration=1).state == "FAILED"
    refused(400, client.terminate_run, stopped.run_id)

    page = client.list_runs(experiment_id=experiment.experiment_id, page_size=1, sort_by="created_at desc")
    assert page.total_size == 2 and page.runs[0].display_name in ("first", "stopped")
    rest = client.list_runs(
        experiment_id=experiment.experiment_id, page_size=1, page_token=page.next_page_token, sort_by="created_at desc"
    )
    assert {page.runs[0].run_id, rest.runs[0].run_id} == {run.run_id, stopped.run_id} and not rest.next_page_token

    refused(404, client.get_run, "00000000-0000-4000-8000-000000000000")
    refused(400, start, "untyped", params={"seconds": "three"})
    client.archive_run(run.run_id)
    assert client.get_run(run.run_id).storage_state == "ARCHIVED"
    client.unarchive_run(run.run_id)
    client.delete_run(run.run_id)
    refused(404, client.get_run, run.run_id)
    client.delete_pipeline_version(uploaded.pipeline_id, version.pipeline_version_id)
    refused(400, client.delete_pipeline, uploaded.pipeline_id)
    client.delete_experiment(experiment.experiment_id)


if __name__ == "__main__":
    main(sys.argv[1])
