//! Parent: device rules as a program for the kernel's virtual machine; pure.
//!
//! The kernel runs a program of type `BPF_PROG_TYPE_CGROUP_DEVICE` on every
//! mknod and open of a device by a process of the cgroup, and refuses with
//! `EPERM` when it answers 0. The instruction set is in the kernel's
//! `bpf/standardization/instruction-set.rst`, the argument in
//! `struct bpf_cgroup_dev_ctx` of `linux/bpf.h`.

use crate::device::{DeviceKind, DeviceRule};

/// `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u8,
    registers: u8,
    pub(crate) offset: i16,
    pub(crate) immediate: i32,
}

impl Instruction {
    const fn new(code: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Instruction {
        // The two halves of the byte are bit fields of C.
        let registers =
            if cfg!(target_endian = "little") { src << 4 | dst } else { dst << 4 | src };
        Instruction { code, registers, offset, immediate }
    }
}

/// `*(u32 *)(src + offset)`: `BPF_LDX | BPF_MEM | BPF_W`.
pub(crate) const LOAD: u8 = 0x61;
/// 32-bit `dst = imm`, `dst = src`, `dst &= imm`, `dst >>= imm` of `BPF_ALU`.
pub(crate) const MOVE_IMMEDIATE: u8 = 0xb4;
pub(crate) const MOVE: u8 = 0xbc;
pub(crate) const AND: u8 = 0x54;
pub(crate) const SHIFT_RIGHT: u8 = 0x74;
/// 32-bit `if dst != imm goto +offset` of `BPF_JMP32`.
pub(crate) const JUMP_UNLESS_EQUAL: u8 = 0x56;
pub(crate) const EXIT: u8 = 0x95;

/// The answer, the argument, and what is unpacked from it.
const ANSWER: u8 = 0;
const ARGUMENT: u8 = 1;
const TYPE: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// `BPF_DEVCG_DEV_*` and `BPF_DEVCG_ACC_*`.
pub(crate) const BLOCK: u32 = 1;
pub(crate) const CHAR: u32 = 2;
pub(crate) const MKNOD: u32 = 1;
pub(crate) const READ: u32 = 2;
pub(crate) const WRITE: u32 = 4;

/// A program that permits what the rules name and nothing else.
pub(crate) fn device_program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = vec![
        Instruction::new(LOAD, TYPE, ARGUMENT, 0, 0),
        Instruction::new(MOVE, ACCESS, TYPE, 0, 0),
        Instruction::new(AND, TYPE, 0, 0, 0xffff),
        Instruction::new(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        Instruction::new(LOAD, MAJOR, ARGUMENT, 4, 0),
        Instruction::new(LOAD, MINOR, ARGUMENT, 8, 0),
    ];
    for rule in rules {
        let tests = tests(rule);
        let unconditional = tests.is_empty();
        program.extend(tests);
        program.extend(answer(1));
        // The verifier refuses instructions that cannot be reached.
        if unconditional {
            return program;
        }
    }
    program.extend(answer(0));
    program
}

fn answer(value: i32) -> [Instruction; 2] {
    [Instruction::new(MOVE_IMMEDIATE, ANSWER, 0, 0, value), Instruction::new(EXIT, 0, 0, 0, 0)]
}

/// What must hold for a rule; each test that fails jumps to the next rule.
fn tests(rule: &DeviceRule) -> Vec<Instruction> {
    let mut tests = Vec::new();
    let mut unless = |register, value| {
        tests.push(Instruction::new(JUMP_UNLESS_EQUAL, register, 0, 0, value));
    };
    match rule.kind {
        DeviceKind::All => {}
        DeviceKind::Char => unless(TYPE, CHAR as i32),
        DeviceKind::Block => unless(TYPE, BLOCK as i32),
    }
    if let Some(major) = rule.major {
        unless(MAJOR, major as i32);
    }
    if let Some(minor) = rule.minor {
        unless(MINOR, minor as i32);
    }
    let granted = access(rule);
    if granted != READ | WRITE | MKNOD {
        // Every bit that is asked for must be granted: access & !granted == 0.
        tests.push(Instruction::new(MOVE, SCRATCH, ACCESS, 0, 0));
        tests.push(Instruction::new(AND, SCRATCH, 0, 0, !(granted as i32)));
        tests.push(Instruction::new(JUMP_UNLESS_EQUAL, SCRATCH, 0, 0, 0));
    }
    // Behind the tests there are two instructions of the answer.
    let length = tests.len();
    for (index, test) in tests.iter_mut().enumerate() {
        if test.code == JUMP_UNLESS_EQUAL {
            test.offset = (length - index - 1 + 2) as i16;
        }
    }
    tests
}

/// The access bits of a rule.
pub(crate) fn access(rule: &DeviceRule) -> u32 {
    let bit = |granted, bit| if granted { bit } else { 0 };
    bit(rule.read, READ) | bit(rule.write, WRITE) | bit(rule.mknod, MKNOD)
}

#[cfg(test)]
#[path = "bpf_tests.rs"]
mod tests;
