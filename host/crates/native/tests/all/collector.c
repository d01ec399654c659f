/* A collector for the tests, with a fault built in: FAULT is one of those below. */
#include "kperf_collector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOOD 0
#define BAD_VERSION 1
#define NULL_FUNCTION 2
#define GARBAGE 3
#define NO_TEXT 4
#define NOT_AVAILABLE 5
#define SILENT 6
#define HANG_COLLECT 7
#define HANG_DESCRIBE 8
#define FAIL_ONCE 9
#define FLOOD 10

typedef struct state {
    double value;
    int calls;
} state;

static const char *describe(void) {
#if FAULT == GARBAGE
    return "{ \"name\": \"fans\", ";
#elif FAULT == NO_TEXT
    return NULL;
#else
#if FAULT == HANG_DESCRIBE
    for (;;) sleep(1);
#endif
    return "{ \"name\": \"fans\", \"version\": \"1.2.3\", \"summary\": \"Speed of fans\","
           "  \"modes\": [{ \"name\": \"fans\", \"description\": \"One look\", \"parameters\": {"
           "    \"type\": \"object\", \"additionalProperties\": false,"
           "    \"properties\": { \"speed\": { \"type\": \"number\", \"default\": 0.5 } } } }],"
           "  \"metrics\": [{ \"name\": \"fan_speed\", \"kind\": \"gauge\", \"unit\": \"ratio\","
           "    \"description\": \"Share of the highest speed\" }] }";
#endif
}

static int32_t start(const char *collection, const kperf_host *host, void **out) {
#if FAULT == NOT_AVAILABLE
    host->reason(host->context, "there is no fan");
    return KPERF_NOT_AVAILABLE;
#elif FAULT == SILENT
    return 77;
#endif
    state *it = calloc(1, sizeof *it);
    const char *speed = strstr(collection, "\"speed\":");
    it->value = speed ? atof(speed + 8) : -1;
    host->log(host->context, KPERF_LOG_INFO, collection);
    *out = it;
    return KPERF_OK;
}

static int32_t collect(void *at, const kperf_host *host) {
    state *it = at;
    it->calls++;
#if FAULT == HANG_COLLECT
    for (;;) sleep(1);
#elif FAULT == FAIL_ONCE
    if (it->calls == 1) {
        host->reason(host->context, "the fan was asleep");
        return KPERF_FAILED;
    }
#elif FAULT == FLOOD
    for (int i = 0; i < 100005; i++) host->sample(host->context, "fan_speed", NULL, 0, 1, 0);
#endif
    kperf_tag tags[] = { { "fan", "left" }, { "side", "f\xc3\xbcr" } };
    host->sample(host->context, "fan_speed", tags, 2, it->value, 0);
    host->sample(host->context, "fan_noise", NULL, 0, it->calls, 1700000000000000000u);
    return KPERF_OK;
}

static int32_t finish(void *at, const kperf_host *host, uint64_t from, uint64_t to) {
    state *it = at;
    host->sample(host->context, "fan_speed", NULL, 0, (double)(to - from), from);
    return it->calls ? KPERF_OK : KPERF_FAILED;
}

static void stop(void *at) {
    free(at);
}

static const kperf_collector collector = {
#if FAULT == BAD_VERSION
    .version = 2,
#else
    .version = KPERF_COLLECTOR_VERSION,
#endif
    .describe = describe,
    .start = start,
#if FAULT != NULL_FUNCTION
    .collect = collect,
#endif
    .finish = finish,
    .stop = stop,
};

#ifndef NO_ENTRY
const kperf_collector *kperf_collector_v1(void) {
    return &collector;
}
#else
const void *another_function(void) {
    return &collector;
}
#endif
