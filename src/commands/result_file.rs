//! Files that are written once, at the end of a run, such as that of `--junit`: refused before anything is sent, then
//! written beside and renamed, so that nobody reads half of one (design.md, section 8).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::exit::Failure;
use crate::text::file_name;

/// A file that will be written.
#[derive(Debug)]
pub struct ResultFile {
    path: PathBuf,
    /// What it is for and its name, for messages.
    doing: String,
}

impl ResultFile {
    /// Makes sure that the file may be written at the end; `what` goes there, such as `the statistics`.
    ///
    /// # Errors
    /// [`Failure::Io`] for a file that holds something, unless it may be `overwrite`n, and for a place where none can
    /// be made.
    pub fn new(path: &Path, what: &str, overwrite: bool) -> Result<ResultFile, Failure> {
        let doing = format!("cannot write {what} to {}", file_name(path));
        match fs::metadata(path) {
            Ok(found) if found.is_file() && found.len() > 0 && !overwrite => {
                return Err(Failure::Io(format!("{doing}: it holds something already; --overwrite replaces it")));
            }
            Ok(found) if found.is_dir() => return Err(Failure::Io(format!("{doing}: it is a directory"))),
            Ok(found) if !found.is_file() => {}
            _ => try_beside(path).map_err(|error| Failure::io(&doing, &error))?,
        }
        Ok(ResultFile { path: path.to_owned(), doing })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Failure::Io`] for a full disk and the like.
    pub fn write(&self, content: &[u8]) -> Result<(), Failure> {
        write_whole(&self.path, content).map_err(|error| Failure::io(&self.doing, &error))
    }
}

/// The file that a flag names to be written.
///
/// # Errors
/// A sentence about `-`, which means standard output everywhere else, and that has its own use in every run.
pub fn to_write(name: OsString) -> Result<PathBuf, String> {
    match name == "-" {
        true => Err("- is standard output, which shows what comes; write ./- for a file of that name".to_owned()),
        false => Ok(name.into()),
    }
}

/// Refuses two flags that would write to one file, where one of them would be lost; what is no regular file, such as
/// `/dev/null`, takes any number (design.md, section 8: what makes no sense together).
///
/// # Errors
/// [`Failure::Usage`].
pub fn refuse_one_file_twice(flags: &[(&str, Option<&Path>)]) -> Result<(), Failure> {
    let mut seen: Vec<(&str, PathBuf)> = Vec::new();
    for (flag, path) in flags.iter().filter_map(|(flag, path)| path.map(|path| (*flag, path))) {
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            continue;
        }
        let place = place(path);
        if let Some((other, _)) = seen.iter().find(|(_, taken)| *taken == place) {
            let name = file_name(path);
            return Err(Failure::Usage(format!(
                "{other} and {flag} would both write {name}: give each a file of its own"
            )));
        }
        seen.push((flag, place));
    }
    Ok(())
}

/// A path without links and detours, also of a file that does not exist yet.
fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = || Some(fs::canonicalize(folder).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(beside).unwrap_or_else(|| path.to_owned())
}

/// Writes a file beside itself and renames that; what is no regular file, such as `/dev/null`, directly.
///
/// # Errors
/// What the system says.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => fs::write(path, content),
        _ => replace(path, |file| file.write_all(content)),
    }
}

/// Whether [`replace`] will find a place for the new file, which shows only in the making of one.
///
/// # Errors
/// What the system says.
pub fn try_beside(path: &Path) -> io::Result<()> {
    let probe = beside(path);
    fs::write(&probe, "").and_then(|()| fs::remove_file(&probe))
}

/// Writes a regular file beside itself and renames that.
///
/// # Errors
/// What the system says; the old file then stands as it was.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let beside = beside(path);
    let written = File::create(&beside).and_then(|mut file| write(&mut file));
    let renamed = written.and_then(|()| fs::rename(&beside, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&beside);
    }
    renamed
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_for_two_flags_is_refused_however_it_is_written() {
        let folder = std::env::temp_dir();
        let name = format!("backbox-twice-{}", std::process::id());
        let (path, detour) = (folder.join(&name), folder.join(".").join(&name));
        let refused = |a: &Path, b: &Path| refuse_one_file_twice(&[("--a", Some(a)), ("--c", None), ("--b", Some(b))]);
        let why = refused(&path, &detour).unwrap_err();
        assert!(why.message().unwrap().starts_with("--a and --b would both write /"), "{why:?}");
        assert!(refused(&path, &folder.join("another")).is_ok());
        assert!(refused(Path::new("/dev/null"), Path::new("/dev/null")).is_ok());
        assert!(refused(Path::new("only-here"), Path::new("./only-here")).is_err());
        assert!(refused(Path::new("/no/such/folder/a"), Path::new("/no/such/folder/a")).is_err());
    }

    #[test]
    fn a_file_that_holds_something_is_safe_and_the_rest_is_written_whole() {
        let path = std::env::temp_dir().join(format!("backbox-result-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        ResultFile::new(&path, "it", false).unwrap().write(b"one").unwrap();
        let refused = ResultFile::new(&path, "it", false).unwrap_err();
        assert!(refused.message().unwrap().ends_with("it holds something already; --overwrite replaces it"));
        ResultFile::new(&path, "it", true).unwrap().write(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(!beside(&path).exists());
        fs::remove_file(&path).unwrap();
        for nowhere in [Path::new("/no/such/folder/file"), Path::new("/")] {
            assert_eq!(ResultFile::new(nowhere, "it", true).unwrap_err().exit().code(), 3, "{nowhere:?}");
        }
        ResultFile::new(Path::new("/dev/null"), "it", false).unwrap().write(b"gone").unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
