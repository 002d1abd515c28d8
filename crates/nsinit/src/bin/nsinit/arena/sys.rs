//! Both: where the command's memory comes from.
//!
//! A start makes a thousand small allocations and frees most of them a moment later. They
//! come from a fixed piece of memory, one behind the other, and only the last one is taken
//! back; when that is used up, the C library's allocator goes on. It is cheaper than any
//! allocator that looks for room (docs/performance.md), and loses no more than its size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A start takes less than half of it.
const SIZE: usize = 256 << 10;
/// What is larger, or aligned to more, is left to the C library.
const LARGEST: usize = 32 << 10;
const ALIGNMENT: usize = 16;

/// The command's allocator.
pub(crate) struct Arena {
    memory: Memory,
    /// So many bytes belong to allocations, or did.
    used: AtomicUsize,
}

/// Aligned to pages, as madvise(2) wants it.
#[repr(align(4096))]
struct Memory(UnsafeCell<[u8; SIZE]>);

// SAFETY: an allocation has its bytes to itself, and what is around it is not accessed.
unsafe impl Sync for Memory {}

impl Arena {
    pub(crate) const fn new() -> Arena {
        Arena { memory: Memory(UnsafeCell::new([0; SIZE])), used: AtomicUsize::new(0) }
    }

    /// Has the kernel map what a start takes, at once: cheaper than a fault for each page.
    pub(crate) fn map(&self) {
        // It does no harm where the kernel (before Linux 5.14) does not know the advice.
        // SAFETY: the memory is ours, and what is in it stays.
        unsafe { libc::madvise(self.start().cast(), SIZE / 2, libc::MADV_POPULATE_WRITE) };
    }

    fn start(&self) -> *mut u8 {
        self.memory.0.get().cast()
    }

    /// Where an allocation begins, if it is one of ours.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        block.addr().checked_sub(self.start().addr()).filter(|offset| *offset < SIZE)
    }

    /// Changes how much is used, unless another thread has: then the answer is false.
    fn set_used(&self, from: usize, to: usize) -> bool {
        // What one thread has freed the next one may write to.
        self.used.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn take(&self, layout: Layout) -> Option<*mut u8> {
        if layout.size() > LARGEST || layout.align() > ALIGNMENT {
            return None;
        }
        loop {
            let used = self.used.load(Ordering::Relaxed);
            let from = used.next_multiple_of(layout.align());
            let to = Some(from + layout.size()).filter(|to| *to <= SIZE)?;
            if self.set_used(used, to) {
                return Some(self.start().wrapping_add(from));
            }
        }
    }
}

// SAFETY: what `take` returns is inside of the memory, aligned, and nobody else's until
// `used` is set back to where it begins, which only its own end does. Everything else is
// the C library's, from the beginning to the end.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.offset(block) {
            // One that others follow stays.
            Some(from) => drop(self.set_used(from + layout.size(), from)),
            // SAFETY: as it is not ours it is the C library's.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(from) = self.offset(block) else {
            // SAFETY: as it is not ours it is the C library's.
            return unsafe { System.realloc(block, layout, size) };
        };
        let fits = from + size <= SIZE && size <= LARGEST;
        if fits && self.set_used(from + layout.size(), from + size) {
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
