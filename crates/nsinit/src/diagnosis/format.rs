//! Parent: what kind of program a file is, by its first bytes. They are the image's.

use super::program::{Fault, Naming};

/// As much of a file as execve looks at first (`BINPRM_BUF_SIZE`).
pub(super) const HEAD: usize = 256;

/// What execve makes of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// It hands the file to this interpreter.
    Script(Vec<u8>, Naming),
    /// It asks the headers.
    Elf(Elf),
    /// Neither.
    Other(Fault),
}

/// What the header of an ELF file says (elf(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Elf {
    wide: bool,
    big_endian: bool,
    machine: u16,
    /// Where the program headers are, how many bytes each has, and how many there are.
    headers: (u64, u16, u16),
}

/// What the first bytes of a file mean to execve.
pub(super) fn of(head: &[u8]) -> Format {
    const FOREIGN: [(&[u8], &str); 5] = [
        (b"MZ", "Windows"),
        (b"\xcf\xfa\xed\xfe", "macOS"),
        (b"\xce\xfa\xed\xfe", "macOS"),
        (b"\xca\xfe\xba\xbe", "macOS or Java"),
        (b"\0asm", "WebAssembly"),
    ];
    if head.is_empty() {
        return Format::Other(Fault::Empty);
    }
    if head.starts_with(b"\x7fELF") {
        return elf(head).map_or(Format::Other(Fault::Damaged), Format::Elf);
    }
    if head.starts_with(b"\xef\xbb\xbf#!") {
        return Format::Other(Fault::ByteOrderMark);
    }
    if head.starts_with(b"#!") {
        return match crate::program::interpreter(head) {
            Some(name) if name.ends_with(b"\r") => Format::Script(name.to_vec(), Naming::DosScript),
            Some(name) => Format::Script(name.to_vec(), Naming::Script),
            None => Format::Other(Fault::NoInterpreter),
        };
    }
    let foreign = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic));
    Format::Other(foreign.map_or(Fault::Text, |(_, system)| Fault::Foreign(system)))
}

fn elf(head: &[u8]) -> Option<Elf> {
    let wide = match head.get(4)? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let big_endian = *head.get(5)? == 2;
    let number = |at, length| number(head, at, length, big_endian);
    let machine = number(18, 2)? as u16;
    let (offset, size, count) = match wide {
        true => (number(32, 8)?, number(54, 2)?, number(56, 2)?),
        false => (number(28, 4)?, number(42, 2)?, number(44, 2)?),
    };
    Some(Elf { wide, big_endian, machine, headers: (offset, size as u16, count as u16) })
}

fn number(bytes: &[u8], at: usize, length: usize, big_endian: bool) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    Some(match big_endian {
        true => bytes.iter().fold(0, join),
        false => bytes.iter().rev().fold(0, join),
    })
}

impl Elf {
    /// The machine that it is built for, as uname(2) calls it.
    pub(super) fn machine(&self) -> String {
        let name = match (self.machine, self.wide, self.big_endian) {
            (3, ..) => "i386",
            (62, true, _) => "x86_64",
            (62, false, _) => "x32",
            (40, ..) => "arm",
            (183, ..) => "aarch64",
            (21, _, true) => "ppc64",
            (21, _, false) => "ppc64le",
            (22, true, _) => "s390x",
            (243, true, _) => "riscv64",
            (243, false, _) => "riscv32",
            (258, ..) => "loongarch64",
            (8, true, _) => "mips64",
            (8, false, _) => "mips",
            (other, ..) => return format!("machine {other}"),
        };
        name.to_owned()
    }

    /// Where the program headers are, and how many bytes they have: at most 64 KiB, as the
    /// kernel has it.
    pub(super) fn headers(&self) -> (u64, usize) {
        let (offset, size, count) = self.headers;
        (offset, (usize::from(size) * usize::from(count)).min(64 << 10))
    }

    /// Where the path of the interpreter is, by the program headers; None for a program
    /// without one.
    pub(super) fn interpreter(&self, headers: &[u8]) -> Option<(u64, usize)> {
        const INTERPRETER: u64 = 3;
        let size = usize::from(self.headers.1);
        let number = |header: &[u8], at, length| number(header, at, length, self.big_endian);
        headers.chunks_exact(size.max(1)).find_map(|header| {
            let kind = number(header, 0, 4)?;
            let (offset, length) = match self.wide {
                true => (number(header, 8, 8)?, number(header, 32, 8)?),
                false => (number(header, 4, 4)?, number(header, 16, 4)?),
            };
            let length = usize::try_from(length).ok().filter(|length| *length <= 4096)?;
            (kind == INTERPRETER).then_some((offset, length))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(machine: u16, wide: bool) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1]);
        head[18..20].copy_from_slice(&machine.to_le_bytes());
        head[32..40].copy_from_slice(&64_u64.to_le_bytes());
        head[54..58].copy_from_slice(&[56, 0, 2, 0]);
        head
    }

    fn elf_of(head: &[u8]) -> Elf {
        match of(head) {
            Format::Elf(elf) => elf,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_machine_is_named_as_uname_does() {
        assert_eq!(elf_of(&header(62, true)).machine(), "x86_64");
        assert_eq!(elf_of(&header(183, true)).machine(), "aarch64");
        assert_eq!(elf_of(&header(3, false)).machine(), "i386");
        assert_eq!(elf_of(&header(999, true)).machine(), "machine 999");
    }

    #[test]
    fn the_interpreter_is_found_by_the_program_headers() {
        let elf = elf_of(&header(62, true));
        assert_eq!(elf.headers(), (64, 112));
        let mut headers = vec![0; 112];
        headers[0] = 1;
        headers[56] = 3;
        headers[64] = 200;
        headers[88] = 28;
        assert_eq!(elf.interpreter(&headers), Some((200, 28)));
        headers[90] = 1;
        assert_eq!(elf.interpreter(&headers), None, "longer than a path");
        assert_eq!(elf.interpreter(&headers[..60]), None);
    }

    #[test]
    fn scripts_name_their_interpreter() {
        let script = |text: &[u8]| of(text);
        let named = |name: &[u8], by| Format::Script(name.to_vec(), by);
        assert_eq!(script(b"#!/bin/sh\necho"), named(b"/bin/sh", Naming::Script));
        assert_eq!(script(b"#! /bin/env python\r\n"), named(b"/bin/env", Naming::Script));
        assert_eq!(script(b"#!/bin/sh\r\n"), named(b"/bin/sh\r", Naming::DosScript));
        assert_eq!(script(b"#!\n"), Format::Other(Fault::NoInterpreter));
    }

    #[test]
    fn what_is_neither_is_told_as_what_it_is() {
        assert_eq!(of(b""), Format::Other(Fault::Empty));
        assert_eq!(of(b"echo hi\n"), Format::Other(Fault::Text));
        assert_eq!(of(b"\xef\xbb\xbf#!/bin/sh\n"), Format::Other(Fault::ByteOrderMark));
        assert_eq!(of(b"MZ\x90\0"), Format::Other(Fault::Foreign("Windows")));
        assert_eq!(of(b"\x7fELF"), Format::Other(Fault::Damaged));
        assert_eq!(of(b"\x7fELF\x02\x01\x01"), Format::Other(Fault::Damaged));
    }

    #[test]
    fn no_length_in_a_header_is_believed() {
        let mut head = header(62, true);
        head[54..58].copy_from_slice(&[0xff; 4]);
        let elf = elf_of(&head);
        assert_eq!(elf.headers().1, 64 << 10);
        assert_eq!(elf.interpreter(&[3; 100]), None);
        head[54..58].copy_from_slice(&[0; 4]);
        assert_eq!(elf_of(&head).interpreter(&[3; 100]), None);
    }
}
