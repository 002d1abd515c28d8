//! Parent: the bytes of one direction between reading and writing.

/// Bytes that one direction holds at most.
pub(super) const CAPACITY: usize = 64 << 10;

/// A bounded queue of bytes.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: Box<[u8]>,
    start: usize,
    len: usize,
}

impl Ring {
    pub(super) fn new() -> Ring {
        Ring { bytes: vec![0; CAPACITY].into_boxed_slice(), start: 0, len: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many more bytes fit.
    pub(super) fn room(&self) -> usize {
        CAPACITY - self.len
    }

    /// The longest free piece that can be read into at once.
    pub(super) fn free(&mut self) -> &mut [u8] {
        let end = self.start + self.len;
        if end < CAPACITY {
            &mut self.bytes[end..]
        } else {
            &mut self.bytes[end - CAPACITY..self.start]
        }
    }

    /// Says that the first `count` bytes of [`Ring::free`] have been filled.
    pub(super) fn filled(&mut self, count: usize) {
        debug_assert!(count <= self.room());
        self.len += count;
    }

    /// The longest piece that can be written at once.
    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.start..CAPACITY.min(self.start + self.len)]
    }

    /// Says that the first `count` bytes of [`Ring::pending`] have been written.
    pub(super) fn taken(&mut self, count: usize) {
        debug_assert!(count <= self.len);
        self.len -= count;
        self.start = if self.len == 0 { 0 } else { (self.start + count) % CAPACITY };
    }

    /// Appends one byte if there is room for it.
    pub(super) fn push(&mut self, byte: u8) {
        if let Some(place) = self.free().first_mut() {
            *place = byte;
            self.filled(1);
        }
    }

    pub(super) fn clear(&mut self) {
        self.start = 0;
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_across_the_end_of_the_buffer() {
        let mut ring = Ring::new();
        let (mut next_in, mut next_out) = (0u8, 0u8);
        for round in 0..400 {
            let count = ring.free().len().min(1 + round * 7);
            for place in &mut ring.free()[..count] {
                *place = next_in;
                next_in = next_in.wrapping_add(1);
            }
            ring.filled(count);
            let count = ring.pending().len().min(1 + round * 5);
            for byte in &ring.pending()[..count] {
                assert_eq!(*byte, next_out);
                next_out = next_out.wrapping_add(1);
            }
            ring.taken(count);
        }
    }

    #[test]
    fn is_bounded() {
        let mut ring = Ring::new();
        let count = ring.free().len();
        ring.filled(count);
        assert_eq!((ring.room(), ring.free().len(), ring.pending().len()), (0, 0, CAPACITY));
        ring.push(1);
        assert_eq!(ring.pending().len(), CAPACITY);
        ring.taken(10);
        assert_eq!((ring.room(), ring.free().len()), (10, 10));
        ring.clear();
        assert!(ring.is_empty());
    }
}
