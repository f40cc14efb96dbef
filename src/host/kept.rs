//! The live machine, with the files that are read again and again kept open.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;

use super::live::{Live, refusal};
use super::{Answer, Ask, Host, Query};
use crate::model::bounds;

/// The machine tunecheck runs on. A file is opened once and read from its beginning each time, which costs a third.
#[derive(Debug, Default)]
pub struct Kept(RefCell<BTreeMap<String, File>>);

impl Host for Kept {
    fn ask(&self, query: Query<'_>) -> Answer {
        match query.ask {
            Ask::Read => self.read(query.of),
            _ => Live.ask(query),
        }
    }

    fn source(&self) -> String {
        Live.source()
    }
}

impl Kept {
    fn read(&self, path: &str) -> Answer {
        // What a list of ports holds beyond one page is lost to a second read.
        let mut files = self.0.borrow_mut();
        if let Some(file) = files.get(path) {
            match whole(file, path) {
                Some(Ok(bytes)) => return Ok(bytes),
                // The file behind it is gone, as that of a cgroup or module may be: another may have its name.
                Some(Err(_)) | None => files.remove(path),
            };
        }
        if files.len() < bounds::KEPT_FILES.count()
            && (path.starts_with("/proc/") || path.starts_with("/sys/"))
            && let Ok(file) = File::open(path)
            && let Some(Ok(bytes)) = whole(&file, path)
        {
            files.insert(path.to_owned(), file);
            return Ok(bytes);
        }
        Live.ask(Query { ask: Ask::Read, of: path })
    }
}

/// The whole file from its beginning; none where that cannot be had in this way.
fn whole(file: &File, path: &str) -> Option<Answer> {
    let mut step = [0u8; 4096];
    let mut content = Vec::new();
    loop {
        let count = match file.read_at(&mut step, content.len() as u64) {
            Ok(count) => count,
            Err(error) if error.raw_os_error() == Some(Errno::EINTR as i32) => continue,
            Err(error) => return Some(Err(refusal(&error))),
        };
        if path.starts_with("/proc/sys/") {
            return (count < step.len()).then(|| Ok(step.get(..count).unwrap_or_default().to_vec()));
        }
        content.extend_from_slice(step.get(..count).unwrap_or_default());
        if count == 0 {
            return Some(Ok(content));
        }
        if content.len() > bounds::FILE.count() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_reads_as_a_fresh_one() {
        let kept = Kept::default();
        let read = |path| kept.ask(Query { ask: Ask::Read, of: path });
        for path in ["/proc/sys/kernel/ostype", "/proc/net/netstat", "/proc/self/limits", "/proc/self/nothing"] {
            let fresh = Live.ask(Query { ask: Ask::Read, of: path });
            assert_eq!(read(path).is_ok(), fresh.is_ok(), "{path}");
            assert_eq!(read(path).is_ok(), fresh.is_ok(), "{path}, again");
        }
        assert_eq!(read("/proc/sys/kernel/ostype"), Ok(b"Linux\n".to_vec()));
        assert_eq!(read("/proc/sys/kernel/ostype"), Ok(b"Linux\n".to_vec()));
        assert_eq!(kept.0.borrow().len(), 3);
    }
}
