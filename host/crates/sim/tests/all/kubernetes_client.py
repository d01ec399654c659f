"""Follows the simulated cluster's pods with the official Kubernetes client, against the server whose address is the first
argument. The client checks the types of every answer; exits with an assertion's message if something is missing.
"""

import pathlib
import sys
import tempfile

import kfp
from kfp import dsl
from kubernetes import client, watch


@dsl.container_component
def pause(seconds: int):
    return dsl.ContainerSpec(image="busybox", command=["sleep"], args=[seconds])


@dsl.pipeline(name="watched")
def pipeline():
    pause(seconds=2)


def main():
    url = sys.argv[1]
    configuration = client.Configuration()
    configuration.host = url
    api = client.CoreV1Api(client.ApiClient(configuration))
    version = client.VersionApi(client.ApiClient(configuration)).get_code()
    nodes = api.list_node().items
    assert nodes and all(node.status.node_info.kubelet_version == version.git_version for node in nodes)
    before = api.list_namespaced_pod("kubeflow")
    assert before.items == []
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "p.yaml")
        kfp.compiler.Compiler().compile(pipeline, path)
        run = kfp.Client(host=url).create_run_from_pipeline_package(path)
    seen = {}
    follower = watch.Watch()
    since = before.metadata.resource_version
    for event in follower.stream(api.list_namespaced_pod, "kubeflow", resource_version=since, timeout_seconds=60):
        pod = event["object"]
        assert isinstance(pod, client.V1Pod) and event["type"] in ("ADDED", "MODIFIED"), event
        seen[pod.metadata.name] = pod
        done = [pod for pod in seen.values() if pod.status.phase == "Succeeded"]
        if len(done) == 3:
            follower.stop()
    selector = f"pipeline/runid={run.run_id}"
    pods = api.list_namespaced_pod("kubeflow", label_selector=selector).items
    assert {pod.metadata.name for pod in pods} == set(seen), (pods, seen)
    for pod in pods:
        state = pod.status.container_statuses[0].state.terminated
        assert state.exit_code == 0 and state.started_at >= pod.metadata.creation_timestamp
    events = api.list_namespaced_event("kubeflow", limit=2)
    assert len(events.items) == 2 and events.metadata._continue
    scheduled = [event for event in api.list_namespaced_event("kubeflow").items if event.reason == "Scheduled"]
    assert len(scheduled) == 3 and all(event.event_time for event in scheduled)


if __name__ == "__main__":
    main()
