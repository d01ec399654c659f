/* Stands in for NVIDIA's driver library: two GPUs with figures that a test knows, in the published signatures of nvml.h. */
#include <stddef.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3 };

typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory;

static int devices[2];

static int number(void *device) {
    return device == &devices[1];
}

static int text(char *into, unsigned length, const char *text) {
    strncpy(into, text, length);
    return SUCCESS;
}

int nvmlInit_v2(void) {
    return SUCCESS;
}

int nvmlShutdown(void) {
    return SUCCESS;
}

const char *nvmlErrorString(int code) {
    return code == SUCCESS ? "success" : "double";
}

int nvmlSystemGetDriverVersion(char *into, unsigned length) {
    return text(into, length, "580.1");
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = 2;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    if (index > 1) return INVALID_ARGUMENT;
    *device = &devices[index];
    return SUCCESS;
}

int nvmlDeviceGetName(void *device, char *into, unsigned length) {
    return text(into, length, number(device) ? "Double B" : "Double A");
}

int nvmlDeviceGetUtilizationRates(void *device, utilization *it) {
    /* The second one is shared out, and does not say. */
    if (number(device)) return NOT_SUPPORTED;
    it->gpu = 75;
    it->memory = 20;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(void *device, memory *it) {
    it->total = 80ull << 30;
    it->used = (number(device) ? 2ull : 1ull) << 30;
    it->free = it->total - it->used;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
    *milliwatts = number(device) ? 70500 : 300250;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *degrees) {
    *degrees = 40 + number(device) + sensor;
    return SUCCESS;
}
