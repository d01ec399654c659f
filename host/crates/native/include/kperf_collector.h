/*
 * kperf_collector.h: native collectors for kperf, version 1.
 *
 * A native collector observes what a sandboxed plugin can't reach: this machine's hardware, a driver's or a vendor's
 * library. It is a shared library that exports one function, kperf_collector_v1, and is written in any language that speaks C's
 * calling convention.
 *
 * It runs inside the process that makes the load. Nothing protects that process from it: a crash ends the run, and what
 * it may do is whatever the user who runs kperf may do. Prefer a WebAssembly collector wherever one can do the work.
 *
 * Rules
 *   - Every text is UTF-8 and ends with a zero byte. Who receives one copies it before it returns; nobody frees another's.
 *   - Calls never overlap. Those of one collector come from one thread, from start to stop; describe may come from another.
 *   - The functions of kperf_host may be called only during a call, from the thread of that call.
 *   - A call that has not returned after 60 seconds (describe: 10) is given up: kperf goes on without the collector, and its
 *     thread is left behind until the process ends.
 *   - The library is never unloaded, and initialised once however often a suite names it.
 */
#ifndef KPERF_COLLECTOR_H
#define KPERF_COLLECTOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this file. A library of another version is refused; fields are only ever added together with a new one. */
#define KPERF_COLLECTOR_VERSION 1u

/* What start, collect and finish return. */
#define KPERF_OK 0
/* It went wrong; kperf tries again at the next interval. Say why with kperf_host.reason. */
#define KPERF_FAILED 1
/* There is nothing to observe on this machine (no such device, driver or kernel). kperf names it in the result and goes on
   without the collector, unless the suite says `required = true`. Say why with kperf_host.reason. */
#define KPERF_NOT_AVAILABLE 2

/* Levels of log lines. */
#define KPERF_LOG_ERROR 0u
#define KPERF_LOG_WARN 1u
#define KPERF_LOG_INFO 2u
#define KPERF_LOG_DEBUG 3u

/* A tag of a sample. Keys match [a-z_][a-z0-9_]*; `scenario`, `collector`, `operation`, `status`, `method`, `check` and `kind`
   are kperf's own. Values come from a small set, never ids, and have at most 256 bytes. */
typedef struct kperf_tag {
    const char *key;
    const char *value;
} kperf_tag;

/* What kperf offers during a call. Hand `context` back in every call. */
typedef struct kperf_host {
    void *context;
    /* Records a value of a metric of the description, in the metric's unit. unix_ns is when it was true, in nanoseconds since
       the Unix epoch; 0 for now. tags may be NULL if tag_count is 0. */
    void (*sample)(void *context, const char *metric, const kperf_tag *tags, size_t tag_count, double value,
                   uint64_t unix_ns);
    /* Writes a line into kperf's log. */
    void (*log)(void *context, uint32_t level, const char *message);
    /* Says why this call is going to return KPERF_FAILED or KPERF_NOT_AVAILABLE. */
    void (*reason)(void *context, const char *message);
} kperf_host;

/* What a collector is. None of the functions may be NULL. */
typedef struct kperf_collector {
    /* KPERF_COLLECTOR_VERSION */
    uint32_t version;

    /* What the collector is, as JSON; the text stays valid. Called before start, also by `kperf-host validate`, and must do
       nothing else.
         { "name": "gpu-fan", "version": "1.0.0", "summary": "Speed of GPU fans",
           "modes": [{ "name": "fans", "description": "One look an interval", "parameters": { JSON Schema of an object } }],
           "metrics": [{ "name": "fan_speed", "kind": "gauge", "unit": "ratio", "description": "Share of the highest speed" }] }
       A kind is counter, gauge, rate or distribution; a unit is none, seconds, bytes or ratio. */
    const char *(*describe)(void);

    /* Prepares a collector that is named in a suite. `collection` is JSON:
         { "name": "fans", "mode": "fans", "parameters": { .. }, "run": "20261126-101500-3f9a", "folder": "/suites" }
       with the parameters as the suite has them, the schema's defaults filled in; paths are relative to `folder`. What is put
       into *state comes back in every other call. */
    int32_t (*start)(const char *collection, const kperf_host *host, void **state);

    /* Takes one observation; called on the suite's interval. */
    int32_t (*collect)(void *state, const kperf_host *host);

    /* Takes what can only be had afterwards. Load ran from start_unix_ns to end_unix_ns. */
    int32_t (*finish)(void *state, const kperf_host *host, uint64_t start_unix_ns, uint64_t end_unix_ns);

    /* Frees the state of a collector that was started. */
    void (*stop)(void *state);
} kperf_collector;

/* What the library exports. The result stays valid.
     const kperf_collector *kperf_collector_v1(void) { return &collector; } */
const kperf_collector *kperf_collector_v1(void);

#ifdef __cplusplus
}
#endif

#endif
