//! Files that are written once, at the end of a run, such as the report of `--junit`, and the session of `--update`:
//! refused before anything is sent, then written beside and renamed, so that no reader sees half of one.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{self, Path, PathBuf};

use crate::exit::Failure;
use crate::session::apply;
use crate::text::file_name;

/// A file that will be written.
#[derive(Debug)]
pub struct ResultFile {
    path: PathBuf,
    /// What it is for and its name, for messages.
    doing: String,
}

impl ResultFile {
    /// Checks that the file can be written at the end; `what` is written there, such as `the report`.
    ///
    /// # Errors
    /// [`Failure::Io`] for a file that is not empty, unless it may be `overwrite`n, and where no file can be created.
    pub fn new(path: &Path, what: &str, overwrite: bool) -> Result<ResultFile, Failure> {
        let doing = format!("cannot write {what} to {}", file_name(path));
        match fs::metadata(path) {
            Ok(found) if found.is_file() && found.len() > 0 && !overwrite => {
                return Err(Failure::Io(format!("{doing}: file is not empty; use --overwrite to replace it")));
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
/// `-`, which is standard output in other options; it has another use in these runs.
pub fn to_write(name: OsString) -> Result<PathBuf, String> {
    match name == "-" {
        true => Err("- is standard output, which has the messages; write ./- for a file of that name".to_owned()),
        false => Ok(name.into()),
    }
}

/// Refuses two options that would write the same file, because one of them would be lost. What is not a regular file,
/// such as `/dev/null`, can be written any number of times.
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

/// Where a file is or will be: a link is the file that it leads to, also a link to the folder of a new file.
pub fn place(path: &Path) -> PathBuf {
    let beside = || {
        let whole = path::absolute(path)?;
        let (folder, name) = (whole.parent().unwrap_or(&whole), whole.file_name().unwrap_or_default());
        fs::canonicalize(folder).map(|folder| folder.join(name))
    };
    let place: io::Result<PathBuf> = fs::canonicalize(path).or_else(|_| beside());
    place.or_else(|_| path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

/// A session file whose recorded replies will be updated.
#[derive(Debug)]
pub struct UpdatedFile {
    /// The file itself, so that a link to it stays one.
    path: PathBuf,
    found: Metadata,
}

impl UpdatedFile {
    /// Makes sure that the file can be replaced, and remembers its state.
    ///
    /// # Errors
    /// What the system reports.
    pub fn find(path: &Path) -> io::Result<UpdatedFile> {
        let path = fs::canonicalize(path)?;
        try_beside(&path)?;
        let found = fs::metadata(&path)?;
        Ok(UpdatedFile { path, found })
    }

    /// Writes the file again with these changes, whatever its size, unless it was changed since the check began.
    ///
    /// # Errors
    /// [`Failure::Io`]; then it is left as it is.
    pub fn write(&self, name: &str, edits: &[(Range<u64>, Vec<u8>)]) -> Result<(), Failure> {
        let doing = format!("cannot update {name}, which is left as it is");
        let cannot = |error: io::Error| Failure::io(&doing, &error);
        let file = File::open(&self.path).map_err(cannot)?;
        let found = file.metadata().map_err(cannot)?;
        let state = |found: &Metadata| (found.len(), found.modified().ok());
        if state(&found) != state(&self.found) {
            return Err(Failure::Io(format!("{doing}: another program has changed it since the check began")));
        }
        let spliced = replace(&self.path, |new| {
            new.set_permissions(found.permissions())?;
            apply(&file, edits, &mut *new)?;
            // A machine that fails leaves the old recording or the new one.
            new.sync_all()
        });
        spliced.map_err(cannot)
    }
}

/// Replaces a file by another with this content; what is not a regular file, such as `/dev/null`, is written directly.
///
/// # Errors
/// What the system reports.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => fs::write(path, content),
        _ => replace(path, |file| file.write_all(content)),
    }
}

/// Whether [`replace`] can create its file, which shows only when one is created.
///
/// # Errors
/// What the system reports.
fn try_beside(path: &Path) -> io::Result<()> {
    let (_, probe) = create_beside(path)?;
    fs::remove_file(probe)
}

/// Writes a new file beside a regular one and renames it, so that a reader never sees half of it.
///
/// # Errors
/// What the system reports; then the old file is unchanged.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (mut file, beside) = create_beside(path)?;
    let written = write(&mut file);
    // Windows does not rename an open file.
    drop(file);
    let renamed = written.and_then(|()| fs::rename(&beside, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&beside);
    }
    renamed
}

/// Creates a file beside another one, with a name that no other file has.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    const NAMES_TRIED: u32 = 100;
    let mut created = Err(io::ErrorKind::AlreadyExists.into());
    for number in 0..NAMES_TRIED {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}-{number}", std::process::id()));
        let name = PathBuf::from(name);
        created = File::create_new(&name).map(|file| (file, name));
        if !created.as_ref().is_err_and(|error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists) {
            break;
        }
    }
    created
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
        assert!(why.message().unwrap().starts_with("--a and --b would both write "), "{why:?}");
        assert!(refused(&path, &folder.join("another")).is_ok());
        assert!(cfg!(windows) || refused(Path::new("/dev/null"), Path::new("/dev/null")).is_ok());
        assert!(refused(Path::new("only-here"), Path::new("./only-here")).is_err());
        #[cfg(unix)]
        {
            let link = folder.join(format!("{name}-link"));
            fs::write(&path, "").unwrap();
            std::os::unix::fs::symlink(&path, &link).unwrap();
            assert!(refused(&path, &link).is_err());
            [&path, &link].iter().for_each(|file| fs::remove_file(file).unwrap());
            std::os::unix::fs::symlink(&folder, &link).unwrap();
            assert!(refused(&path, &link.join(&name)).is_err(), "a new file behind a linked folder");
            fs::remove_file(&link).unwrap();
        }
        assert!(refused(Path::new("/no/such/folder/a"), Path::new("/no/such/folder/a")).is_err());
    }

    #[test]
    fn file_that_is_not_empty_is_refused_and_others_are_written_whole() {
        let path = std::env::temp_dir().join(format!("backbox-result-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        ResultFile::new(&path, "it", false).unwrap().write(b"one").unwrap();
        let refused = ResultFile::new(&path, "it", false).unwrap_err();
        assert!(refused.message().unwrap().ends_with("file is not empty; use --overwrite to replace it"));
        ResultFile::new(&path, "it", true).unwrap().write(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        fs::remove_file(&path).unwrap();
        for nowhere in [Path::new("/no/such/folder/file"), Path::new("/")] {
            assert_eq!(ResultFile::new(nowhere, "it", true).unwrap_err().exit().code(), 3, "{nowhere:?}");
        }
        if cfg!(unix) {
            ResultFile::new(Path::new("/dev/null"), "it", false).unwrap().write(b"gone").unwrap();
            assert!(!Path::new("/dev/null").is_file());
        }
    }

    #[test]
    fn files_beside_are_neither_changed_nor_removed() {
        let folder = std::env::temp_dir().join(format!("backbox-beside-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("report");
        let names = ["", "-0", "-1"].map(|end| folder.join(format!("report.{}{end}", std::process::id())));
        names.iter().for_each(|name| fs::write(name, "keep").unwrap());
        try_beside(&path).unwrap();
        write_whole(&path, b"new").unwrap();
        write_whole(&path, b"newer").unwrap();
        assert!(names.iter().all(|name| fs::read(name).unwrap() == b"keep"));
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 4);
        fs::remove_dir_all(&folder).unwrap();
    }
}
