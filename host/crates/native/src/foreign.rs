//! Shared libraries that speak `include/kperf_collector.h`. Everything unsafe of this crate is here.
//!
//! What can be checked of a library is: its digest, its symbol, its version, that no function is NULL, that its texts end and
//! are UTF-8. Beyond that its code is trusted, as the suite and the command line have both said.

#![expect(unsafe_code, reason = "a C interface can't be called otherwise; each use says why it is sound")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;

use serde_json::json;

use crate::description::DescriptionError;
use crate::{Collection, Collector, Failure, Kind, Level, LoadError, Observations, Sample};

/// `KPERF_COLLECTOR_VERSION`.
const VERSION: u32 = 1;
/// `KPERF_OK` and `KPERF_NOT_AVAILABLE`; anything else is `KPERF_FAILED`.
const OK: i32 = 0;
const NOT_AVAILABLE: i32 = 2;

/// `kperf_tag`.
#[repr(C)]
struct RawTag {
    key: *const c_char,
    value: *const c_char,
}

/// `kperf_host`.
#[repr(C)]
struct RawHost {
    context: *mut c_void,
    sample: extern "C" fn(*mut c_void, *const c_char, *const RawTag, usize, f64, u64),
    log: extern "C" fn(*mut c_void, u32, *const c_char),
    reason: extern "C" fn(*mut c_void, *const c_char),
}

type Describe = unsafe extern "C" fn() -> *const c_char;
type Start = unsafe extern "C" fn(*const c_char, *const RawHost, *mut *mut c_void) -> i32;
type Collect = unsafe extern "C" fn(*mut c_void, *const RawHost) -> i32;
type Finish = unsafe extern "C" fn(*mut c_void, *const RawHost, u64, u64) -> i32;
type Stop = unsafe extern "C" fn(*mut c_void);

/// `kperf_collector`; a function that is NULL is none.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawCollector {
    version: u32,
    describe: Option<Describe>,
    start: Option<Start>,
    collect: Option<Collect>,
    finish: Option<Finish>,
    stop: Option<Stop>,
}

type Entry = unsafe extern "C" fn() -> *const RawCollector;

/// The functions of a library that was loaded. It is never unloaded, so they stay valid.
#[derive(Clone, Copy)]
pub(crate) struct Library {
    describe: Describe,
    start: Start,
    collect: Collect,
    finish: Finish,
    stop: Stop,
}

impl Library {
    /// Loads `content`, which was read from `path`.
    pub(crate) fn open(path: &Path, content: &[u8]) -> Result<Self, LoadError> {
        let library = load(path, content)?;
        // SAFETY: the symbol's type is what the header says; a library that lies about it is trusted code that is wrong.
        let entry = unsafe { library.get::<Entry>(b"kperf_collector_v1\0") }.map(|symbol| *symbol);
        // Threads may run its code until the process ends.
        std::mem::forget(library);
        let entry = entry.map_err(|_| LoadError::Symbol)?;
        // SAFETY: the function takes nothing, and returns NULL or a struct that stays valid.
        let raw = unsafe { entry() };
        if raw.is_null() {
            return Err(LoadError::Missing("kperf_collector_v1"));
        }
        // SAFETY: whatever the version, the struct begins with it; only that much is read here.
        let version = unsafe { raw.cast::<u32>().read_unaligned() };
        if version != VERSION {
            return Err(LoadError::Version(version));
        }
        // SAFETY: of this version, so it is a `kperf_collector`, in which a NULL function is a `None`.
        let raw = unsafe { raw.read_unaligned() };
        Ok(Self {
            describe: raw.describe.ok_or(LoadError::Missing("describe"))?,
            start: raw.start.ok_or(LoadError::Missing("start"))?,
            collect: raw.collect.ok_or(LoadError::Missing("collect"))?,
            finish: raw.finish.ok_or(LoadError::Missing("finish"))?,
            stop: raw.stop.ok_or(LoadError::Missing("stop"))?,
        })
    }

    /// The description as JSON text.
    pub(crate) fn describe(&self) -> Result<String, DescriptionError> {
        // SAFETY: a function of a loaded library, called as the header says.
        let text = unsafe { (self.describe)() };
        // SAFETY: NULL or a text that ends and stays valid.
        let text = unsafe { text_of(text) };
        text.ok_or_else(|| DescriptionError("it is NULL or no UTF-8".to_owned()))
    }
}

/// The checked content as a library. On Linux it is loaded from memory, so that nobody can put another file in its place
/// after it was checked.
fn load(path: &Path, content: &[u8]) -> Result<libloading::Library, LoadError> {
    let open = |path: &Path| {
        // SAFETY: this runs the library's initialisers: trusted code, see the module.
        unsafe { libloading::Library::new(path) }.map_err(|error| LoadError::Open(error.to_string()))
    };
    #[cfg(target_os = "linux")]
    {
        use std::io::Write as _;
        use std::os::fd::AsRawFd as _;

        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("collector");
        let failed = |error: std::io::Error| LoadError::Open(error.to_string());
        let memory = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC);
        let mut file = std::fs::File::from(memory.map_err(|error| failed(error.into()))?);
        file.write_all(content).map_err(failed)?;
        let library = open(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())));
        // The mapping keeps the memory; but the loader takes a file of the same number for the same library.
        std::mem::forget(file);
        library
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = content;
        open(path)
    }
}

impl Kind for Library {
    fn start(&self, collection: &Collection, observations: &mut Observations) -> Result<Box<dyn Collector>, Failure> {
        let parameters: serde_json::Value = serde_json::from_str(&collection.parameters).unwrap_or_default();
        let text = json!({
            "name": collection.name,
            "mode": collection.mode,
            "parameters": parameters,
            "run": collection.run,
            "folder": collection.folder,
        });
        // JSON writes a zero byte as an escape.
        let text = CString::new(text.to_string()).map_err(|error| Failure::Failed(error.to_string()))?;
        let mut state = std::ptr::null_mut();
        // SAFETY: a function of a loaded library, called as the header says: the text and `state` live through the call.
        call(observations, |host| unsafe { (self.start)(text.as_ptr(), host, &raw mut state) })?;
        Ok(Box::new(Foreign { library: *self, state }))
    }
}

/// A collector that a library has started. It stays on its own thread, as raw pointers do.
struct Foreign {
    library: Library,
    state: *mut c_void,
}

impl Collector for Foreign {
    fn collect(&mut self, observations: &mut Observations) -> Result<(), Failure> {
        // SAFETY: a function of a loaded library, called as the header says, with the state that it gave.
        call(observations, |host| unsafe { (self.library.collect)(self.state, host) })
    }

    fn finish(&mut self, start: u64, end: u64, observations: &mut Observations) -> Result<(), Failure> {
        // SAFETY: as in `collect`.
        call(observations, |host| unsafe { (self.library.finish)(self.state, host, start, end) })
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // SAFETY: started and not stopped before; no other call follows.
        unsafe { (self.library.stop)(self.state) }
    }
}

/// What stands behind `context` during a call.
struct Context<'a> {
    observations: &'a mut Observations,
    reason: Option<String>,
}

/// Makes a call and reads what it returned.
fn call(observations: &mut Observations, make: impl FnOnce(*const RawHost) -> i32) -> Result<(), Failure> {
    let mut context = Context { observations, reason: None };
    let host = RawHost { context: (&raw mut context).cast(), sample, log, reason };
    let code = make(&raw const host);
    if code == OK {
        return Ok(());
    }
    let why = context.reason.unwrap_or_else(|| "it gives no reason".to_owned());
    match code {
        NOT_AVAILABLE => Err(Failure::Unavailable(why)),
        _ => Err(Failure::Failed(why)),
    }
}

/// A text that a library hands over; none if it is NULL or no UTF-8.
///
/// # Safety
/// The pointer is NULL, or to a text that ends with a zero byte and is valid until this returns.
unsafe fn text_of(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(text) }.to_str().ok().map(str::to_owned)
}

extern "C" fn sample(
    context: *mut c_void,
    metric: *const c_char,
    tags: *const RawTag,
    count: usize,
    value: f64,
    unix_ns: u64,
) {
    // SAFETY: the library hands back the context of the call that is being made, on its thread: see the header.
    let Some(context) = (unsafe { context.cast::<Context<'_>>().as_mut() }) else { return };
    let tags = if tags.is_null() || count == 0 {
        &[]
    } else {
        // SAFETY: the library says that so many tags stand there; they are read before it goes on.
        unsafe { std::slice::from_raw_parts(tags, count) }
    };
    // SAFETY: texts of the library that are valid during this call.
    let text = |text| unsafe { text_of(text) }.unwrap_or_default();
    let tags = tags.iter().map(|tag| (text(tag.key), text(tag.value))).collect();
    let unix_ns = (unix_ns != 0).then_some(unix_ns);
    context.observations.sample(Sample { metric: text(metric), tags, value, unix_ns });
}

extern "C" fn log(context: *mut c_void, level: u32, message: *const c_char) {
    // SAFETY: as in `sample`.
    let Some(context) = (unsafe { context.cast::<Context<'_>>().as_mut() }) else { return };
    let level = match level {
        0 => Level::Error,
        1 => Level::Warn,
        2 => Level::Info,
        _ => Level::Debug,
    };
    // SAFETY: a text of the library that is valid during this call.
    if let Some(text) = unsafe { text_of(message) } {
        context.observations.line(level, text);
    }
}

extern "C" fn reason(context: *mut c_void, message: *const c_char) {
    // SAFETY: as in `sample`.
    let Some(context) = (unsafe { context.cast::<Context<'_>>().as_mut() }) else { return };
    // SAFETY: a text of the library that is valid during this call.
    context.reason = unsafe { text_of(message) };
}
