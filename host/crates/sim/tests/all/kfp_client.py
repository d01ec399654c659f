"""Drives the real Kubeflow Pipelines SDK against the server whose address is the first argument, as a user would.

The second argument is `single` or `multi`. Exits with an assertion's message if the server does not behave as the SDK,
or the generated client below it, expects; the latter checks the types of every answer.
"""

import datetime
import pathlib
import sys
import tempfile
import time
import zipfile

import kfp
import kfp_server_api
from kfp import dsl

NOWHERE = "00000000-0000-4000-8000-000000000000"


@dsl.container_component
def pause(seconds: int):
    return dsl.ContainerSpec(image="busybox", command=["sleep"], args=[seconds])


@dsl.component
def add(a: int, b: int) -> int:
    return a + b


@dsl.container_component
def broken():
    return dsl.ContainerSpec(image="busybox", command=["sh", "-c", "exit 1"])


@dsl.pipeline(name="sdk-made")
def pipeline(seconds: int = 2):
    first = pause(seconds=seconds)
    total = add(a=1, b=2).after(first)
    with dsl.ParallelFor([1, 2]) as item:
        add(a=total.output, b=item)


@dsl.pipeline(name="sdk-broken")
def failing():
    broken()


def refused(status, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kfp_server_api.ApiException as error:
        assert error.status == status, f"wanted {status}, got {error.status}: {error.body}"
        return error
    raise AssertionError(f"{call.__name__} was not refused")


def compiled(what, folder):
    path = str(pathlib.Path(folder) / f"{what.name}.yaml")
    kfp.compiler.Compiler().compile(what, path)
    return path


def pages(call, field, **kwargs):
    """All rows of a list, in pages of two."""
    rows, token = [], ""
    while True:
        page = call(page_size=2, page_token=token, **kwargs)
        rows += getattr(page, field) or []
        assert len(rows) <= (page.total_size or 0)
        token = page.next_page_token
        if not token:
            assert len(rows) == (page.total_size or 0)
            return rows


def equals(key, value):
    return '{"predicates":[{"operation":"EQUALS","key":"%s","string_value":"%s"}]}' % (key, value)


def wait(client, run_id):
    return client.wait_for_run_completion(run_id, timeout=120, sleep_duration=1)


def uploads(client, folder, namespace):
    path = compiled(pipeline, folder)
    zipped = str(pathlib.Path(folder) / "pipeline.zip")
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "pipeline.yaml")
    uploaded = client.upload_pipeline(path, pipeline_name="sdk", description="made by the SDK", namespace=namespace)
    other = client.upload_pipeline(zipped, pipeline_name="zipped", namespace=namespace)
    version = client.upload_pipeline_version(path, "second", pipeline_id=uploaded.pipeline_id)
    refused(409, client.upload_pipeline, path, pipeline_name="sdk", namespace=namespace)
    assert client.get_pipeline(uploaded.pipeline_id).description == "made by the SDK"
    versions = pages(client.list_pipeline_versions, "pipeline_versions", pipeline_id=uploaded.pipeline_id)
    assert {v.display_name for v in versions} == {"sdk", "second"}
    shown = client.get_pipeline_version(uploaded.pipeline_id, version.pipeline_version_id)
    assert shown.pipeline_spec["pipelineInfo"]["name"] == "sdk-made"
    listed = pages(client.list_pipelines, "pipelines", namespace=namespace, sort_by="name desc")
    assert [p.display_name for p in listed] == ["zipped", "sdk"]
    if namespace is None:
        assert client.get_pipeline_id("zipped") == other.pipeline_id
    return uploaded.pipeline_id, version.pipeline_version_id, other.pipeline_id


def experiments(client, namespace):
    first = client.create_experiment("sdk experiment", description="for runs", namespace=namespace)
    assert client.create_experiment("sdk experiment", namespace=namespace).experiment_id == first.experiment_id
    second = client.create_experiment("another", namespace=namespace)
    assert client.get_experiment(experiment_name="another", namespace=namespace).experiment_id == second.experiment_id
    names = [e.display_name for e in pages(client.list_experiments, "experiments", namespace=namespace, sort_by="name")]
    assert {"another", "sdk experiment"} <= set(names) and names == sorted(names, key=str.lower), names
    client.archive_experiment(second.experiment_id)
    assert client.get_experiment(second.experiment_id).storage_state == "ARCHIVED"
    client.unarchive_experiment(second.experiment_id)
    client.delete_experiment(second.experiment_id)
    refused(404, client.get_experiment, second.experiment_id)
    return first.experiment_id


def runs(client, folder, namespace, pipeline_id, version_id, experiment_id):
    def start(name, **more):
        return client.run_pipeline(experiment_id, name, pipeline_id=pipeline_id, version_id=version_id, **more)

    run = start("first", params={"seconds": 3})
    done = wait(client, run.run_id)
    assert done.state == "SUCCEEDED", done.state
    assert done.finished_at >= done.created_at
    names = [task.display_name for task in done.run_details.task_details]
    for name in ["root-driver", "root", "pause-driver", "pause", "executor", "add"]:
        assert name in names, names

    # The SDK enables caching, so the same work again skips its executors.
    again = wait(client, start("again", params={"seconds": 3}).run_id)
    assert again.state == "SUCCEEDED"
    states = {task.state for task in again.run_details.task_details if task.display_name == "executor"}
    assert states == {"SKIPPED"}, states
    fresh = wait(client, start("fresh", params={"seconds": 3}, enable_caching=False).run_id)
    assert fresh.state == "SUCCEEDED"

    package = client.create_run_from_pipeline_package(
        compiled(pipeline, folder), arguments={"seconds": 1}, run_name="package", experiment_id=experiment_id
    )
    assert wait(client, package.run_id).state == "SUCCEEDED"

    stopped = start("stopped", params={"seconds": 100000})
    client.terminate_run(stopped.run_id)
    assert wait(client, stopped.run_id).state == "FAILED"
    refused(400, client.terminate_run, stopped.run_id)

    bad = client.create_run_from_pipeline_package(
        compiled(failing, folder), run_name="broken", experiment_id=experiment_id
    )
    assert wait(client, bad.run_id).state == "FAILED"
    # The SDK itself has no retry; the client below it has.
    client._run_api.run_service_retry_run(run_id=bad.run_id)
    assert client.get_run(bad.run_id).state == "RUNNING"
    assert wait(client, bad.run_id).state == "FAILED"
    refused(409, client._run_api.run_service_retry_run, run_id=run.run_id)

    rows = pages(client.list_runs, "runs", experiment_id=experiment_id, sort_by="created_at desc")
    assert {r.display_name for r in rows} == {"first", "again", "fresh", "package", "stopped", "broken"}
    failed = client.list_runs(experiment_id=experiment_id, filter=equals("state", "FAILED"))
    assert {r.display_name for r in failed.runs} == {"stopped", "broken"}

    refused(404, client.get_run, NOWHERE)
    refused(400, start, "untyped", params={"seconds": "three"})
    client.archive_run(run.run_id)
    assert client.get_run(run.run_id).storage_state == "ARCHIVED"
    client.unarchive_run(run.run_id)
    return [row.run_id for row in rows]


def recurring_runs(client, pipeline_id, version_id, experiment_id):
    def create(name, **more):
        return client.create_recurring_run(
            experiment_id,
            name,
            pipeline_id=pipeline_id,
            version_id=version_id,
            params={"seconds": 1},
            max_concurrency=2,
            **more,
        )

    # Its past instants are made up for, so that there is something to see at once.
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=3600)
    cron = create("cron", cron_expression="0 0/5 * * * *", start_time=start.isoformat(), no_catchup=True)
    interval = create("interval", interval_second=3600, enabled=False)
    assert (cron.status, interval.status) == ("ENABLED", "DISABLED")
    assert cron.trigger.cron_schedule.cron == "0 0/5 * * * *" and interval.trigger.periodic_schedule.interval_second == "3600"
    for _ in range(100):
        made = client.list_runs(filter=equals("recurring_run_id", cron.recurring_run_id), experiment_id=experiment_id)
        if made.runs:
            break
        time.sleep(0.1)
    assert made.runs[0].recurring_run_id == cron.recurring_run_id
    assert wait(client, made.runs[0].run_id).state == "SUCCEEDED"

    rows = pages(client.list_recurring_runs, "recurring_runs", experiment_id=experiment_id, sort_by="name")
    assert [row.display_name for row in rows] == ["cron", "interval"]
    client.disable_recurring_run(cron.recurring_run_id)
    assert client.get_recurring_run(cron.recurring_run_id).status == "DISABLED"
    client.enable_recurring_run(cron.recurring_run_id)
    client.archive_experiment(experiment_id)
    assert client.get_recurring_run(cron.recurring_run_id).status == "DISABLED"
    client.unarchive_experiment(experiment_id)
    refused(400, create, "hasty", cron_expression="every now and then")
    refused(404, client.get_recurring_run, NOWHERE)
    for row in rows:
        client.delete_recurring_run(row.recurring_run_id)
        refused(404, client.get_recurring_run, row.recurring_run_id)
    page = client.list_recurring_runs(experiment_id=experiment_id)
    assert not page.recurring_runs and not page.total_size
    made = client.list_runs(experiment_id=experiment_id, page_size=100)
    return [run.run_id for run in made.runs if run.recurring_run_id]


def cleaned(client, namespace, pipelines, run_ids, experiment_id):
    refused(400, client.delete_pipeline, pipelines[0])
    for run_id in run_ids:
        client.delete_run(run_id)
        refused(404, client.get_run, run_id)
    assert not client.list_runs(experiment_id=experiment_id).runs
    for pipeline_id in pipelines:
        for version in pages(client.list_pipeline_versions, "pipeline_versions", pipeline_id=pipeline_id):
            client.delete_pipeline_version(pipeline_id, version.pipeline_version_id)
        client.delete_pipeline(pipeline_id)
        refused(404, client.get_pipeline, pipeline_id)
    client.delete_experiment(experiment_id)
    assert not client.list_pipelines(namespace=namespace).total_size


def strangers(url, namespace, experiment_id):
    """Who is unknown, and who may not."""
    unknown = kfp.Client(host=url)
    refused(401, unknown.get_experiment, experiment_id)
    denied = client_for(url, "eve@example.com")
    refused(403, denied.get_experiment, experiment_id)
    refused(403, denied.list_runs, namespace=namespace)
    known = client_for(url, "ann@example.com")
    refused(400, known.list_runs)


def client_for(url, user):
    client = kfp.Client(host=url)
    for api in vars(client).values():
        if hasattr(api, "api_client"):
            api.api_client.default_headers["kubeflow-userid"] = user
    return client


def main(url, mode):
    namespace = "team-1" if mode == "multi" else None
    client = client_for(url, "ann@example.com") if namespace else kfp.Client(host=url)
    assert client.get_kfp_healthz().multi_user is (mode == "multi")
    with tempfile.TemporaryDirectory() as folder:
        pipeline_id, version_id, other_id = uploads(client, folder, namespace)
        experiment_id = experiments(client, namespace)
        run_ids = runs(client, folder, namespace, pipeline_id, version_id, experiment_id)
    run_ids += recurring_runs(client, pipeline_id, version_id, experiment_id)
    if namespace:
        strangers(url, namespace, experiment_id)
    cleaned(client, namespace, [pipeline_id, other_id], run_ids, experiment_id)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
