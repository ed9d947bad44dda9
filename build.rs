//! Links the unwinder of GCC's runtime into the program, where the linker has it, instead of loading `libgcc_s.so`.
//!
//! A one-shot `send` lasts a millisecond, and a tenth of that went into loading a shared library of which nothing runs
//! unless the program panics. Rust links `-lgcc_s` by itself and has no setting for it, so a linker script of that name
//! is put before it, which points at the same code as an archive. Nothing depends on it: without the archive, and on
//! any other system than Linux with glibc, the program is linked as ever.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    let Some(archive) = unwinder() else { return };
    let Some(directory) = env::var_os("OUT_DIR").map(PathBuf::from) else { return };
    if fs::write(directory.join("libgcc_s.so"), format!("INPUT(\"{}\")\n", archive.display())).is_ok() {
        println!("cargo:rustc-link-search=native={}", directory.display());
    }
}

/// The archive, as the linker that will be used finds it.
fn unwinder() -> Option<PathBuf> {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|set| set == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return None;
    }
    // Without a setting Rust calls `cc`, which links for this machine only.
    let native = || (env::var_os("HOST") == env::var_os("TARGET")).then(|| "cc".into());
    let linker = env::var_os("RUSTC_LINKER").or_else(native)?;
    let output = Command::new(linker).arg("-print-file-name=libgcc_eh.a").output().ok()?;
    // A linker that does not have it gives back the bare name.
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (path.is_absolute() && path.is_file()).then_some(path)
}
