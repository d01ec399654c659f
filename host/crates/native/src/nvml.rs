//! `nvml-collector`: what NVIDIA GPUs do, through the driver's own library, which is looked for when the collector starts.

use std::ffi::OsStr;

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use serde::Deserialize;

use crate::{Collection, Collector, Failure, Kind, Level, Observations};

/// What it says of itself.
pub(crate) const DESCRIPTION: &str = concat!(
    r#"{"name": "nvml-collector", "version": ""#,
    env!("CARGO_PKG_VERSION"),
    r#"", "summary": "Utilization, memory, power and temperature of NVIDIA GPUs, through the driver's library",
"modes": [{"name": "gpus", "description": "One look an interval", "parameters": {
    "type": "object", "additionalProperties": false, "properties": {
        "gpus": {"type": "array", "items": {"type": "integer", "minimum": 0}, "uniqueItems": true,
            "description": "Numbers of the GPUs to observe, as `nvidia-smi` counts them; all of them unless given"}
    }}}],
"metrics": [
    {"name": "gpu_utilization", "kind": "gauge", "unit": "ratio", "description": "share of time in which a GPU ran something"},
    {"name": "gpu_memory_utilization", "kind": "gauge", "unit": "ratio", "description": "share of time in which a GPU's memory was read or written"},
    {"name": "gpu_memory_used", "kind": "gauge", "unit": "bytes", "description": "memory of a GPU in use"},
    {"name": "gpu_memory_total", "kind": "gauge", "unit": "bytes", "description": "memory of a GPU"},
    {"name": "gpu_power", "kind": "gauge", "unit": "none", "description": "power that a GPU draws, in watts"},
    {"name": "gpu_temperature", "kind": "gauge", "unit": "none", "description": "temperature of a GPU, in degrees Celsius"}
]}"#
);

/// Where the driver's library is found; the second name is what development packages add.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];

#[derive(Debug, Deserialize)]
struct Parameters {
    gpus: Option<Vec<u32>>,
}

/// See the module.
pub(crate) struct Nvml;

impl Kind for Nvml {
    fn start(&self, collection: &Collection, observations: &mut Observations) -> Result<Box<dyn Collector>, Failure> {
        let wanted: Parameters =
            serde_json::from_str(&collection.parameters).map_err(|error| Failure::Failed(error.to_string()))?;
        let nvml = driver()?;
        let count = nvml.device_count().map_err(failed)?;
        if count == 0 {
            return Err(Failure::Unavailable("the NVIDIA driver knows no GPU".to_owned()));
        }
        let gpus = wanted.gpus.unwrap_or_else(|| (0..count).collect());
        let mut seen = Vec::new();
        for gpu in gpus {
            let device = nvml.device_by_index(gpu).map_err(|error| match error {
                NvmlError::InvalidArg | NvmlError::NotFound => {
                    Failure::Failed(format!("there is no GPU {gpu}: the driver knows {count}, counted from 0"))
                }
                error => failed(error),
            })?;
            seen.push((gpu, device.name().unwrap_or_else(|_| "unknown".to_owned())));
        }
        let driver = nvml.sys_driver_version().unwrap_or_else(|_| "unknown".to_owned());
        observations.line(Level::Info, format!("{} GPUs observed, NVIDIA driver {driver}", seen.len()));
        Ok(Box::new(Looking { nvml, gpus: seen }))
    }
}

fn driver() -> Result<nvml_wrapper::Nvml, Failure> {
    let mut last = None;
    for library in LIBRARIES {
        match nvml_wrapper::Nvml::builder().lib_path(OsStr::new(library)).init() {
            Ok(nvml) => return Ok(nvml),
            Err(error @ NvmlError::LibloadingError(_)) => last = Some(error),
            Err(error) => {
                return Err(Failure::Unavailable(format!("the NVIDIA driver does not answer: {error}")));
            }
        }
    }
    let why = last.map(|error| error.to_string()).unwrap_or_default();
    Err(Failure::Unavailable(format!("there is no NVIDIA driver on this machine ({why})")))
}

fn failed(error: NvmlError) -> Failure {
    Failure::Failed(format!("the NVIDIA driver says: {error}"))
}

struct Looking {
    nvml: nvml_wrapper::Nvml,
    /// Number and model.
    gpus: Vec<(u32, String)>,
}

impl Collector for Looking {
    fn collect(&mut self, observations: &mut Observations) -> Result<(), Failure> {
        for (gpu, model) in &self.gpus {
            let device = self.nvml.device_by_index(*gpu).map_err(failed)?;
            let number = gpu.to_string();
            let tags = [("gpu", number.as_str()), ("model", model.as_str())];
            // What a model does not offer is left out.
            if let Some(used) = offered(device.utilization_rates())? {
                observations.now("gpu_utilization", &tags, f64::from(used.gpu) / 100.0);
                observations.now("gpu_memory_utilization", &tags, f64::from(used.memory) / 100.0);
            }
            if let Some(memory) = offered(device.memory_info())? {
                observations.now("gpu_memory_used", &tags, memory.used as f64);
                observations.now("gpu_memory_total", &tags, memory.total as f64);
            }
            if let Some(milliwatts) = offered(device.power_usage())? {
                observations.now("gpu_power", &tags, f64::from(milliwatts) / 1000.0);
            }
            if let Some(degrees) = offered(device.temperature(TemperatureSensor::Gpu))? {
                observations.now("gpu_temperature", &tags, f64::from(degrees));
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: u64, _: u64, observations: &mut Observations) -> Result<(), Failure> {
        self.collect(observations)
    }
}

/// None for what the GPU does not offer, or not to everybody.
fn offered<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(NvmlError::NotSupported | NvmlError::NoPermission | NvmlError::FailedToLoadSymbol(_)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
