//! Both: where the command's memory comes from.
//!
//! A start makes a thousand small allocations and frees most of them a moment later. They
//! come from a fixed piece of memory, one behind the other. The last one is taken back, and
//! all of it when nothing is in use; when it is used up, the C library's allocator goes on.
//! It is cheaper than any allocator that looks for room (docs/performance.md), and loses no
//! more than its size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A start takes less than a quarter of it. With what is before it, it is so many pages.
const SIZE: usize = (256 << 10) - 64;
/// What is larger, or aligned to more, is left to the C library.
const LARGEST: usize = 32 << 10;
const ALIGNMENT: usize = 16;

/// The command's allocator: aligned to pages, as madvise(2) wants it, and on no more of them
/// than it needs.
#[repr(C, align(4096))]
pub(crate) struct Arena {
    /// A [`Use`].
    used: AtomicU64,
    /// Nothing is taken from it at the moment.
    rests: AtomicBool,
    memory: Memory,
}

#[repr(align(64))]
struct Memory(UnsafeCell<[u8; SIZE]>);

// SAFETY: an allocation has its bytes to itself, and what is around it is not accessed.
unsafe impl Sync for Memory {}

/// How much is in use, in one number, which is changed as a whole.
#[derive(Clone, Copy)]
struct Use {
    /// So many allocations there are.
    count: u32,
    /// So many bytes from the beginning belong to them, or did.
    end: u32,
}

impl Use {
    fn of(number: u64) -> Use {
        Use { count: (number >> 32) as u32, end: number as u32 }
    }

    fn number(self) -> u64 {
        u64::from(self.count) << 32 | u64::from(self.end)
    }
}

impl Arena {
    pub(crate) const fn new() -> Arena {
        Arena {
            used: AtomicU64::new(0),
            rests: AtomicBool::new(false),
            memory: Memory(UnsafeCell::new([0; SIZE])),
        }
    }

    /// Has the kernel map what a start takes, at once: cheaper than a fault for each page.
    pub(crate) fn map(&self) {
        // It does no harm where the kernel (before Linux 5.14) does not know the advice.
        let (start, size) = (ptr::from_ref(self).cast_mut(), size_of::<Arena>() / 4);
        // SAFETY: the memory is ours, and what is in it stays.
        unsafe { libc::madvise(start.cast(), size, libc::MADV_POPULATE_WRITE) };
    }

    /// What `work` allocates is the C library's: then it may outlive everything in the arena,
    /// which begins anew.
    pub(crate) fn rest<T>(&self, work: impl FnOnce() -> T) -> T {
        self.rests.store(true, Ordering::Relaxed);
        let result = work();
        self.rests.store(false, Ordering::Relaxed);
        result
    }

    fn start(&self) -> *mut u8 {
        self.memory.0.get().cast()
    }

    /// Where an allocation begins, if it is one of ours.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        block.addr().checked_sub(self.start().addr()).filter(|offset| *offset < SIZE)
    }

    /// Changes what is in use, if `change` has an answer.
    fn change(&self, change: impl Fn(Use) -> Option<Use>) -> Option<Use> {
        let change = |number| change(Use::of(number)).map(Use::number);
        // What one thread has freed the next one may write to.
        let before = self.used.fetch_update(Ordering::AcqRel, Ordering::Relaxed, change);
        before.ok().map(Use::of)
    }

    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let suits = layout.size() <= LARGEST && layout.align() <= ALIGNMENT;
        if !suits || self.rests.load(Ordering::Relaxed) {
            return None;
        }
        let from = |used: Use| (used.end as usize).next_multiple_of(layout.align());
        let before = self.change(|used| {
            let end = Some(from(used) + layout.size()).filter(|end| *end <= SIZE)?;
            Some(Use { count: used.count + 1, end: end as u32 })
        })?;
        Some(self.start().wrapping_add(from(before)))
    }

    /// Gives an allocation back: the last one, and the last of all, make room.
    fn give_back(&self, from: usize, size: usize) {
        self.change(|used| {
            let count = used.count - 1;
            let end = match used.end as usize == from + size {
                true => from as u32,
                // One that others follow stays.
                false => used.end,
            };
            Some(Use { count, end: if count == 0 { 0 } else { end } })
        });
    }

    /// Makes the last allocation longer or shorter, in its place; false if it is not the last.
    fn resize(&self, from: usize, old: usize, new: usize) -> bool {
        let fits = from + new <= SIZE && new <= LARGEST;
        let last = |used: &Use| fits && used.end as usize == from + old;
        let end = (from + new) as u32;
        self.change(|used| Some(used).filter(last).map(|used| Use { end, ..used })).is_some()
    }
}

// SAFETY: what `take` returns is inside of the memory, aligned, and nobody else's until the
// end of what is in use is set back to where it begins, which only its own end does, or the end
// of all. Everything else is the C library's, from the beginning to the end.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.offset(block) {
            Some(from) => self.give_back(from, layout.size()),
            // SAFETY: as it is not ours it is the C library's.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(from) = self.offset(block) else {
            // SAFETY: as it is not ours it is the C library's.
            return unsafe { System.realloc(block, layout, size) };
        };
        if self.resize(from, layout.size(), size) {
            return block;
        }
        // SAFETY: the caller promises that the size, rounded up to the alignment, is no
        // overflow.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the size is not zero, which is the caller's promise, too.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: both are that long, and they are two allocations.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
            // SAFETY: it was allocated with this layout.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            Some(block) => {
                // SAFETY: it is that long, and may hold what was there before.
                unsafe { block.write_bytes(0, layout.size()) };
                block
            }
            // SAFETY: the caller's promises are the same.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }
}
