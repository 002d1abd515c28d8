//! Parent: the device program, run by an interpreter of the few instructions it uses.

use super::*;

impl Instruction {
    fn dst(self) -> usize {
        let low = cfg!(target_endian = "little");
        usize::from(if low { self.registers & 0xf } else { self.registers >> 4 })
    }

    fn src(self) -> usize {
        let low = cfg!(target_endian = "little");
        usize::from(if low { self.registers >> 4 } else { self.registers & 0xf })
    }
}

/// Runs a program on `struct bpf_cgroup_dev_ctx`, refusing what the verifier would.
fn run(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> u32 {
    let argument = [access << 16 | kind, major, minor];
    let mut registers: [Option<u32>; 11] = [None; 11];
    let mut at = 0;
    loop {
        let instruction = program[at];
        let (dst, src) = (instruction.dst(), instruction.src());
        let known = |register: usize| registers[register].expect("register was written before");
        let immediate = instruction.immediate as u32;
        at += 1;
        match instruction.code {
            LOAD => {
                assert_eq!(src, 1, "only the argument is memory");
                registers[dst] =
                    Some(argument[usize::try_from(instruction.offset).expect("+") / 4]);
            }
            MOVE_IMMEDIATE => registers[dst] = Some(immediate),
            MOVE => registers[dst] = Some(known(src)),
            AND => registers[dst] = Some(known(dst) & immediate),
            SHIFT_RIGHT => registers[dst] = Some(known(dst) >> immediate),
            JUMP_UNLESS_EQUAL if known(dst) != immediate => {
                at += usize::try_from(instruction.offset).expect("forward");
            }
            JUMP_UNLESS_EQUAL => {}
            EXIT => return known(0),
            code => panic!("instruction {code:#x}"),
        }
    }
}

fn rules(texts: &[&str]) -> Vec<DeviceRule> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}

/// What the rules say, by the definition and not by a program.
fn permitted(rules: &[DeviceRule], kind: u32, wanted: u32, major: u32, minor: u32) -> bool {
    rules.iter().any(|rule| {
        let kinds = match rule.kind {
            DeviceKind::All => BLOCK | CHAR,
            DeviceKind::Char => CHAR,
            DeviceKind::Block => BLOCK,
        };
        kinds & kind != 0
            && rule.major.is_none_or(|n| n == major)
            && rule.minor.is_none_or(|n| n == minor)
            && wanted & !access(rule) == 0
    })
}

#[test]
fn the_program_agrees_with_the_rules_everywhere() {
    let sets = [
        vec![],
        DeviceRule::container_defaults(false),
        DeviceRule::container_defaults(true),
        rules(&["a"]),
        rules(&["c 1:3 rwm", "a", "b 8:0 r"]),
        rules(&["a *:* m", "c 1:3 r", "c 1:3 w", "b 8:* rw"]),
        rules(&["b *:0 r", "c *:* m", "a 7:1 rwm"]),
        rules(&["c 4095:1048575 w"]),
    ];
    let mut cases = 0;
    for set in &sets {
        let program = device_program(set);
        for kind in [BLOCK, CHAR] {
            for wanted in 0..=(READ | WRITE | MKNOD) {
                for major in [0, 1, 5, 7, 8, 136, 4095, u32::MAX] {
                    for minor in [0, 1, 2, 3, 5, 9, 1_048_575, u32::MAX] {
                        let expected = u32::from(permitted(set, kind, wanted, major, minor));
                        let answer = run(&program, kind, wanted, major, minor);
                        assert_eq!(answer, expected, "{set:?} {kind} {wanted} {major}:{minor}");
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, 8 * 2 * 8 * 8 * 8);
}

#[test]
fn null_is_permitted_and_kmsg_is_not() {
    let program = device_program(&DeviceRule::container_defaults(false));
    assert_eq!(run(&program, CHAR, READ | WRITE, 1, 3), 1);
    assert_eq!(run(&program, CHAR, READ, 1, 11), 0);
    assert_eq!(run(&program, BLOCK, MKNOD, 1, 3), 0, "a block device of the same number");
    assert_eq!(run(&program, CHAR, READ, 5, 1), 0, "no console without a terminal");
}

#[test]
fn two_rules_for_one_device_do_not_add_up() {
    // As the kernel's v1 list would merge them, so the parent merges them before.
    let program = device_program(&rules(&["c 1:3 r", "c 1:3 w"]));
    assert_eq!(run(&program, CHAR, READ, 1, 3), 1);
    assert_eq!(run(&program, CHAR, READ | WRITE, 1, 3), 0);
}

#[test]
fn every_instruction_can_be_reached() {
    for set in [rules(&["a", "c 1:3 r"]), rules(&["c 1:3 r", "b 8:0 m"]), vec![]] {
        let program = device_program(&set);
        let mut reached = vec![false; program.len()];
        let mut pending = vec![0];
        while let Some(at) = pending.pop() {
            if std::mem::replace(&mut reached[at], true) || program[at].code == EXIT {
                continue;
            }
            pending.push(at + 1);
            if program[at].code == JUMP_UNLESS_EQUAL {
                pending.push(at + 1 + usize::try_from(program[at].offset).expect("forward"));
            }
        }
        assert!(reached.iter().all(|reached| *reached), "{set:?}");
    }
}
