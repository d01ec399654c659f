//! Builds the first-party plugins for wasm32-wasip2 and writes the table that `src/lib.rs` includes.
//!
//! In comes the `plugins/` workspace; out go its components, compiled in a folder that all profiles share. A second cargo does the
//! work because one build can't mix targets.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

const TARGET: &str = "wasm32-wasip2";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Cargo shows this line even where it hides a build script's output.
            println!("cargo::error={}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let root = here.join("../../..").canonicalize()?;
    let plugins = root.join("plugins");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", root.join("wit").display());
    println!("cargo::rerun-if-changed={}", plugins.join("Cargo.toml").display());
    println!("cargo::rerun-if-changed={}", plugins.join("Cargo.lock").display());
    println!("cargo::rerun-if-changed={}", plugins.join("sdk").display());

    let shipped = packages(&plugins)?;
    let for_tests = packages(&plugins.join("tests"))?;
    ensure_target()?;
    // Beside the profiles: plugins are compiled in one way, whatever the host's profile is. `OUT_DIR` is
    // `<target>/<profile>/build/<package>/out`.
    let target = out.ancestors().nth(4).unwrap_or(&out).join("guests");
    build(&plugins, &target)?;

    let release = target.join(TARGET).join("release");
    let mut table = String::from("&[\n");
    for (package, is_shipped) in shipped.iter().map(|p| (p, true)).chain(for_tests.iter().map(|p| (p, false))) {
        let file = release.join(format!("{}.wasm", package.replace('-', "_")));
        if !file.is_file() {
            return Err(format!("plugins/{package} did not make {}", file.display()).into());
        }
        // Copied, because another build may compile its own into the same place.
        let own = out.join(format!("{package}.wasm"));
        fs::copy(&file, &own)?;
        let path = own.to_str().ok_or("the build directory's path is not UTF-8")?;
        writeln!(table, "    ({package:?}, {is_shipped}, include_bytes!({path:?})),")?;
    }
    table.push_str("]\n");
    fs::write(out.join("guests.rs"), table)?;
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set: this program is meant to be run by cargo"))
}

/// The packages in a folder, by the names of their folders; the sdk is a library and makes no component.
fn packages(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    if !folder.is_dir() {
        return Ok(names);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "sdk" || !entry.path().join("Cargo.toml").is_file() {
            continue;
        }
        println!("cargo::rerun-if-changed={}", entry.path().display());
        names.push(name);
    }
    names.sort();
    Ok(names)
}

/// Sees to it that the compiler has the standard library of the target; a rustup toolchain can be given it.
fn ensure_target() -> Result<(), Box<dyn Error>> {
    if has_target()? {
        return Ok(());
    }
    let toolchain = env::var("RUSTUP_TOOLCHAIN").ok();
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]);
    if let Some(toolchain) = &toolchain {
        rustup.args(["--toolchain", toolchain]);
    }
    let added = rustup.output();
    // Another build may have been adding it at the same moment: what counts is whether it is there in the end.
    for _ in 0..30 {
        if has_target()? {
            return Ok(());
        }
        if !matches!(&added, Ok(output) if !output.status.success()) {
            break;
        }
        thread::sleep(Duration::from_secs(1));
    }
    let with = toolchain.map(|name| format!(" --toolchain {name}")).unwrap_or_default();
    let why = match added {
        Err(_) => "rustup is not there to add it".to_owned(),
        Ok(output) => format!("rustup said: {}", String::from_utf8_lossy(&output.stderr).trim()),
    };
    let text = format!(
        "the first-party plugins need the Rust standard library for {TARGET}, and the compiler has none ({why}). \
         Run `rustup target add {TARGET}{with}`, or install the {TARGET} standard library of the same Rust version, \
         and build again."
    );
    Err(text.into())
}

fn has_target() -> Result<bool, Box<dyn Error>> {
    let rustc = variable("RUSTC")?;
    let output = Command::new(&rustc).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(
            format!("{rustc} does not know the target {TARGET}, Rust 1.82 is the first that does: {error}").into()
        );
    }
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let Ok(entries) = fs::read_dir(folder) else { return Ok(false) };
    Ok(entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-")))
}

/// Runs the second cargo. Its variables are cleaned: flags, wrappers (clippy's among them) and profiles of the host's build
/// are not for the plugins'.
fn build(plugins: &Path, target_dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.args(["build", "--release", "--locked", "--workspace", "--target", TARGET, "--target-dir"]).arg(target_dir);
    cargo.current_dir(plugins);
    for (name, _) in env::vars_os() {
        if leaks(&name.to_string_lossy()) {
            cargo.env_remove(name);
        }
    }
    // The jobs of both cargos together are as many as the user asked for.
    if let Some(flags) = env::var_os("CARGO_MAKEFLAGS") {
        cargo.env("MAKEFLAGS", flags);
    }
    let output = cargo.output()?;
    if output.status.success() {
        return Ok(());
    }
    io::stderr().write_all(&output.stderr)?;
    let text = String::from_utf8_lossy(&output.stderr);
    let first = text.lines().find(|line| line.starts_with("error")).unwrap_or("the output has no error line");
    let again = format!("cargo build --manifest-path plugins/Cargo.toml --target {TARGET}");
    Err(format!("building the first-party plugins failed, {first}; `{again}` shows all").into())
}

/// Whether a variable of the outer build would change the inner one.
fn leaks(name: &str) -> bool {
    const KEPT: [&str; 8] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    let cargo = name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept));
    let compiler =
        name.starts_with("RUSTC_") || name.starts_with("CLIPPY_") || name == "RUSTFLAGS" || name == "RUSTDOCFLAGS";
    let build_script = matches!(name, "TARGET" | "HOST" | "PROFILE" | "OPT_LEVEL" | "DEBUG" | "OUT_DIR" | "NUM_JOBS");
    cargo || compiler || build_script
}
