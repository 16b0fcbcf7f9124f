//! What is mapped in a process.

use std::path::PathBuf;

/// A mapping, as `/proc/PID/maps` or a core file's notes have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    pub start: u64,
    pub end: u64,
    pub is_writable: bool,
    /// Where in the file it begins.
    pub offset: u64,
    /// The file, if it is one's.
    pub path: Option<PathBuf>,
}

impl Mapping {
    pub fn bytes(&self) -> usize {
        (self.end - self.start) as usize
    }

    pub fn has_path(&self, path: &std::path::Path) -> bool {
        self.path.as_deref() == Some(path)
    }
}

/// Reads the lines of `/proc/PID/maps`; what is no line of it is left out.
pub fn parse(text: &str) -> Vec<Mapping> {
    text.lines().filter_map(parse_line).collect()
}

/// `7f00-7f10 rw-p 00001000 08:01 123   /a path`
fn parse_line(line: &str) -> Option<Mapping> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let access = fields.next()?;
    let offset = u64::from_str_radix(fields.next()?, 16).ok()?;
    let (_device, _inode) = (fields.next()?, fields.next()?);
    let name = fields.next().unwrap_or("").trim_start();
    Some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        is_writable: access.as_bytes().get(1) == Some(&b'w'),
        offset,
        path: name.starts_with('/').then(|| name.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_and_without_files_are_read() {
        let text = "55d0c000-55d0e000 r--p 00001000 08:01 42                         /usr/bin/a b (deleted)\n\
                    7ffe0000-7ffe2000 rw-p 00000000 00:00 0                          [stack]\n\
                    nonsense\n\
                    7f000000-7f001000 rw-p 00000000 00:00 0 \n";
        let maps = parse(text);
        assert_eq!(maps.len(), 3);
        assert_eq!(maps[0].path.as_deref(), Some(std::path::Path::new("/usr/bin/a b (deleted)")));
        assert_eq!((maps[0].start, maps[0].bytes(), maps[0].offset), (0x55d0_c000, 0x2000, 0x1000));
        assert!(!maps[0].is_writable && maps[1].is_writable && maps[1].path.is_none());
    }
}
