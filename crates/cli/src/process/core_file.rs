//! A core file: what a process's memory was.

use super::maps::Mapping;
use super::{Memory, Piece};
use crate::failure::{Exit, Failure, Result, file_failure};
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, ReadCache};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A part of memory that the file has.
#[derive(Clone, Copy)]
struct Segment {
    address: u64,
    /// In memory, and of those in the file.
    bytes: u64,
    file_bytes: u64,
    offset: u64,
    is_writable: bool,
}

/// A core file, open.
pub struct CoreFile {
    file: File,
    segments: Vec<Segment>,
    mappings: Vec<Mapping>,
    threads: Vec<(u32, String)>,
    pid: u32,
    command: String,
}

/// In the notes of Linux on 64-bit machines.
const PID_IN_PRSTATUS: usize = 32;
const PID_IN_PRPSINFO: usize = 24;
const ARGUMENTS_IN_PRPSINFO: usize = 56;
const ARGUMENTS_BYTES: usize = 80;

impl CoreFile {
    pub fn open(path: &Path) -> Result<CoreFile> {
        let file = File::open(path).map_err(|error| file_failure(path, &error))?;
        Self::parse(file).map_err(|error| {
            Failure::new(
                Exit::Unreadable,
                format!("{} is no core file that can be read: {error}", path.display()),
                "Give the number of a process, a core file of a 64-bit Linux program, or a file that \
                 `ferrimalloc snapshot` wrote.",
            )
        })
    }

    fn parse(file: File) -> anyhow::Result<CoreFile> {
        let cache = ReadCache::new(file.try_clone()?);
        let header = elf::FileHeader64::<Endianness>::parse(&cache)?;
        let endian = header.endian()?;
        if header.e_type(endian) != elf::ET_CORE {
            anyhow::bail!("it is an ELF file of another kind");
        }
        let mut core = CoreFile {
            file,
            segments: Vec::new(),
            mappings: Vec::new(),
            threads: Vec::new(),
            pid: 0,
            command: String::new(),
        };
        for segment in header.program_headers(endian, &cache)? {
            if segment.p_type(endian) == elf::PT_LOAD {
                core.segments.push(Segment {
                    address: segment.p_vaddr(endian),
                    bytes: segment.p_memsz(endian),
                    file_bytes: segment.p_filesz(endian),
                    offset: segment.p_offset(endian),
                    is_writable: segment.p_flags(endian) & elf::PF_W != 0,
                });
            }
            let Some(mut notes) = segment.notes(endian, &cache)? else { continue };
            while let Some(note) = notes.next()? {
                core.note(note.n_type(endian), note.desc());
            }
        }
        core.segments.sort_by_key(|segment| segment.address);
        core.finish();
        Ok(core)
    }

    fn note(&mut self, kind: u32, text: &[u8]) {
        match kind {
            elf::NT_PRSTATUS => {
                if let Some(tid) = number(text, PID_IN_PRSTATUS, 4) {
                    self.threads.push((tid as u32, String::new()));
                }
            }
            elf::NT_PRPSINFO => {
                self.pid = number(text, PID_IN_PRPSINFO, 4).unwrap_or(0) as u32;
                let arguments = text.iter().skip(ARGUMENTS_IN_PRPSINFO).take(ARGUMENTS_BYTES);
                let arguments: Vec<u8> = arguments.copied().take_while(|byte| *byte != 0).collect();
                self.command = String::from_utf8_lossy(&arguments).trim_end().into();
            }
            elf::NT_FILE => self.mappings = files(text).unwrap_or_default(),
            _ => {}
        }
    }

    /// Mappings of files have the segments' access; the rest of the segments are mappings without a file.
    fn finish(&mut self) {
        let segment_at = |address: u64| {
            self.segments
                .iter()
                .rfind(|segment| segment.address <= address && address < segment.address + segment.bytes)
        };
        for mapping in &mut self.mappings {
            mapping.is_writable = segment_at(mapping.start).is_some_and(|segment| segment.is_writable);
        }
        let named: Vec<u64> = self.mappings.iter().map(|mapping| mapping.start).collect();
        let others = self.segments.iter().filter(|segment| !named.contains(&segment.address));
        let others = others.map(|segment| Mapping {
            start: segment.address,
            end: segment.address + segment.bytes,
            is_writable: segment.is_writable,
            offset: 0,
            path: None,
        });
        self.mappings.extend(others);
        self.mappings.sort_by_key(|mapping| mapping.start);
    }

    /// Reads one piece, which may span segments; false if a part of it isn't in the file.
    fn read_piece(&self, piece: Piece, into: &mut [u8]) -> bool {
        let mut done = 0;
        while done < piece.bytes {
            let address = piece.address + done as u64;
            let Some(index) = self.segments.partition_point(|segment| segment.address <= address).checked_sub(1) else {
                return false;
            };
            let segment = self.segments[index];
            let inside = address - segment.address;
            if inside >= segment.file_bytes {
                return false;
            }
            let bytes = (segment.file_bytes - inside).min((piece.bytes - done) as u64) as usize;
            if self.file.read_exact_at(&mut into[done..done + bytes], segment.offset + inside).is_err() {
                return false;
            }
            done += bytes;
        }
        true
    }
}

fn number(text: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let mut word = [0; 8];
    word[..bytes].copy_from_slice(text.get(at..at + bytes)?);
    Some(u64::from_le_bytes(word))
}

/// `NT_FILE`: how many, the unit of offsets, then start, end and offset of each, then the names.
fn files(text: &[u8]) -> Option<Vec<Mapping>> {
    let (count, unit) = (number(text, 0, 8)? as usize, number(text, 8, 8)?);
    let names = text.get(16 + count.checked_mul(24)?..)?;
    let mut names = names.split(|byte| *byte == 0).map(|name| String::from_utf8_lossy(name).into_owned());
    (0..count)
        .map(|index| {
            let word = |field: usize| number(text, 16 + index * 24 + field * 8, 8);
            let path = names.next().map(Into::into);
            Some(Mapping {
                start: word(0)?,
                end: word(1)?,
                is_writable: false,
                offset: word(2)?.checked_mul(unit)?,
                path,
            })
        })
        .collect()
}

impl Memory for CoreFile {
    fn read_pieces(&self, pieces: &[Piece], into: &mut Vec<u8>) -> Vec<bool> {
        into.clear();
        let read = |piece: &Piece| {
            let start = into.len();
            into.resize(start + piece.bytes, 0);
            let is_whole = self.read_piece(*piece, &mut into[start..]);
            if !is_whole {
                into[start..].fill(0);
            }
            is_whole
        };
        pieces.iter().map(read).collect()
    }

    fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    fn resident(&self, _address: u64, _units: usize, _unit_bytes: usize) -> Option<Vec<u32>> {
        None
    }

    fn threads(&self) -> Vec<(u32, String)> {
        self.threads.clone()
    }

    fn pid(&self) -> u32 {
        self.pid
    }

    fn command(&self) -> String {
        self.command.clone()
    }

    fn resident_bytes(&self) -> Option<u64> {
        None
    }

    fn is_live(&self) -> bool {
        false
    }
}
