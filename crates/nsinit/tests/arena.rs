//! The command's allocator: this test's memory comes from it, too.
#![expect(unsafe_code, reason = "an allocator is unsafe to call")]

use std::alloc::{GlobalAlloc, Layout};

#[path = "../src/bin/nsinit/arena/sys.rs"]
mod arena;

use arena::Arena;

#[global_allocator]
static MEMORY: Arena = Arena::new();

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a valid layout")
}

/// Major and minor version.
fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_str().expect("ASCII");
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().expect("a number"));
    (numbers.next().expect("major"), numbers.next().expect("minor"))
}

/// An allocation of an arena, freed at its end.
struct Block<'a> {
    arena: &'a Arena,
    start: *mut u8,
    layout: Layout,
}

impl<'a> Block<'a> {
    fn new(arena: &'a Arena, size: usize) -> Block<'a> {
        let layout = layout(size);
        // SAFETY: the size is not zero.
        Block { arena, start: unsafe { arena.alloc(layout) }, layout }
    }

    fn resize(&mut self, size: usize) {
        // SAFETY: it was allocated with this layout, and the size is not zero.
        self.start = unsafe { self.arena.realloc(self.start, self.layout, size) };
        self.layout = layout(size);
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: it is that long, and filled by `fill` or zeroed before it is read.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.layout.size()) }
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout.
        unsafe { self.arena.dealloc(self.start, self.layout) };
    }
}

#[test]
fn the_last_allocation_is_taken_back_and_grows_in_place() {
    let arena = Box::new(Arena::new());
    let first = Block::new(&arena, 100);
    let mut last = Block::new(&arena, 100);
    let place = last.start;
    last.bytes().fill(7);
    last.resize(1000);
    assert_eq!(last.start, place);
    assert!(last.bytes()[..100].iter().all(|byte| *byte == 7));
    drop(last);
    let last = Block::new(&arena, 50);
    assert_eq!(last.start, place);
    drop(first);
    drop(Block::new(&arena, 50));
    assert!(Block::new(&arena, 50).start > last.start, "what others follow is not taken back");
}

#[test]
fn all_of_it_is_taken_back_when_nothing_is_in_use() {
    let arena = Box::new(Arena::new());
    let blocks = [100, 200, 300].map(|size| Block::new(&arena, size));
    let [beginning, second, _] = blocks.each_ref().map(|block| block.start);
    // In an order in which none of them is the last one.
    drop(blocks);
    let again = Block::new(&arena, 50);
    assert_eq!(again.start, beginning);
    assert!(Block::new(&arena, 50).start < second);
}

#[test]
fn while_it_rests_memory_is_the_c_librarys() {
    let arena = Box::new(Arena::new());
    let first = Block::new(&arena, 100);
    let beginning = first.start;
    let mut kept = arena.rest(|| Block::new(&arena, 100));
    kept.bytes().fill(7);
    drop(first);
    let mut again = Block::new(&arena, 1000);
    assert_eq!(again.start, beginning);
    again.bytes().fill(8);
    assert!(kept.bytes().iter().all(|byte| *byte == 7));
    kept.resize(200);
    assert!(kept.bytes()[..100].iter().all(|byte| *byte == 7));
}

#[test]
fn what_others_follow_moves_when_it_grows() {
    let arena = Box::new(Arena::new());
    let mut first = Block::new(&arena, 100);
    first.bytes().fill(7);
    let mut last = Block::new(&arena, 100);
    last.bytes().fill(8);
    first.resize(200);
    first.bytes()[100..].fill(9);
    assert!(first.bytes()[..100].iter().all(|byte| *byte == 7));
    assert!(last.bytes().iter().all(|byte| *byte == 8));
}

#[test]
fn what_is_asked_for_zeroed_is_zero() {
    let arena = Box::new(Arena::new());
    let mut used = Block::new(&arena, 100);
    used.bytes().fill(7);
    let place = used.start;
    drop(used);
    // SAFETY: the size is not zero.
    let start = unsafe { arena.alloc_zeroed(layout(100)) };
    assert_eq!(start, place);
    let mut zeroed = Block { arena: &arena, start, layout: layout(100) };
    assert!(zeroed.bytes().iter().all(|byte| *byte == 0));
}

#[test]
fn what_is_mapped_ahead_is_there_and_keeps_what_is_in_it() {
    static FRESH: Arena = Arena::new();
    let mut block = Block::new(&FRESH, 100);
    block.bytes().fill(7);
    let second_page = block.start.wrapping_add(4096).map_addr(|address| address & !4095);
    let is_there = || {
        let mut resident = 0_u8;
        // SAFETY: a page of the arena, and one byte for the answer.
        let answer = unsafe { libc::mincore(second_page.cast(), 4096, &raw mut resident) };
        (answer, resident & 1)
    };
    assert_eq!(is_there(), (0, 0));
    FRESH.map();
    assert_eq!(is_there(), (0, u8::from(kernel() >= (5, 14))), "MADV_POPULATE_WRITE");
    assert!(block.bytes().iter().all(|byte| *byte == 7));
}

#[test]
fn many_threads_and_more_than_there_is_room_for() {
    let work = |thread: u8| {
        let mut kept: Vec<Vec<u8>> = Vec::new();
        for round in 0..2000_usize {
            let mut bytes = vec![thread; 1 + round * 37 % 700];
            bytes.resize(1 + round * 91 % 1400, thread);
            kept.push(bytes);
            if round % 3 == 0 {
                kept.swap_remove(round % kept.len());
            }
        }
        assert!(kept.iter().flatten().all(|byte| *byte == thread));
        kept.iter().map(Vec::len).sum::<usize>()
    };
    let kept = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..5).map(|id| scope.spawn(move || work(id))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert!(kept > 1 << 20, "{kept}");
}
