//! Where a plugin's memory comes from on `wasm32`.
//!
//! Owns the arena and the order: first the arena, which is part of the memory
//! that an instance starts with, then `memory.grow`. A growth costs the host two
//! mapping calls for each run, and a small agent needs none this way.
//! Never gives memory back: an instance ends soon, and its memory with it.
//!
//! The allocator is `dlmalloc`, which the standard library itself uses on this
//! target; only its source of memory is ours.

#![cfg(all(target_arch = "wasm32", feature = "arena"))]
#![expect(unsafe_code, reason = "a global allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ptr;

use dlmalloc::{Allocator, Dlmalloc};

/// Size of the arena in bytes: four pages, about what a small agent with JSON
/// in and out never fills.
const ARENA_BYTES: usize = 256 * 1024;
const PAGE_BYTES: usize = 64 * 1024;

#[repr(align(16))]
struct Arena(#[expect(dead_code, reason = "only its address is used")] [u8; ARENA_BYTES]);

/// Zeros, so it takes no room in the component.
static mut ARENA: Arena = Arena([0; ARENA_BYTES]);

/// Hands out the arena once, then pages.
struct ArenaThenPages {
    arena_given: Cell<bool>,
}

// SAFETY: every region handed out is given once, is writable for its whole
// length, and stays so as long as the instance lives.
unsafe impl Allocator for ArenaThenPages {
    fn alloc(&self, bytes: usize) -> (*mut u8, usize, u32) {
        if bytes <= ARENA_BYTES && !self.arena_given.replace(true) {
            return ((&raw mut ARENA).cast(), ARENA_BYTES, 0);
        }
        let pages = bytes.div_ceil(PAGE_BYTES);
        let before = core::arch::wasm32::memory_grow::<0>(pages);
        if before == usize::MAX {
            return (ptr::null_mut(), 0, 0);
        }
        let (start, mut length) = (before * PAGE_BYTES, pages * PAGE_BYTES);
        if start.wrapping_add(length) == 0 {
            // The end of the address space: no pointer may wrap to zero.
            length -= 16;
        }
        (ptr::with_exposed_provenance_mut(start), length, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_BYTES
    }
}

struct Heap(UnsafeCell<Dlmalloc<ArenaThenPages>>);

// SAFETY: an instance has one thread; with shared memory this does not compile.
unsafe impl Sync for Heap {}

#[cfg(target_feature = "atomics")]
compile_error!("plugins have one thread: build without `atomics`, or without the feature `arena`");

// SAFETY: the calls go to an allocator with the same contract. None of them
// runs while another does: there is one thread, and the source above allocates
// nothing.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).free(block, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe { (*self.0.get()).realloc(block, layout.size(), layout.align(), size) }
    }
}

#[global_allocator]
static HEAP: Heap =
    Heap(UnsafeCell::new(Dlmalloc::new_with_allocator(ArenaThenPages { arena_given: Cell::new(false) })));
