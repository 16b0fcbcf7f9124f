//! A doubly linked list of elements that carry their links.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr;

/// An element's neighbours. Valid when zeroed. They belong to the list that the element is in.
pub struct Links {
    next: Cell<*const ()>,
    prev: Cell<*const ()>,
}

impl Links {
    /// Where the next element's address lies.
    pub const NEXT_AT: usize = core::mem::offset_of!(Links, next);

    /// Those of an element that is in no list.
    pub const fn new() -> Self {
        Self { next: Cell::new(ptr::null()), prev: Cell::new(ptr::null()) }
    }
}

/// What can be in a list: one at a time.
pub trait Linked: Sized + 'static {
    /// The element's links, always the same ones. Only its list touches them.
    fn links(&self) -> &Links;
}

/// A list. Valid when zeroed: empty. It does not keep its elements alive.
pub struct List<T> {
    first: Cell<*const T>,
    last: Cell<*const T>,
    _elements: PhantomData<*const T>,
}

// SAFETY: the elements' links are only followed through the list; elements are `'static` and shared.
unsafe impl<T: Sync> Send for List<T> {}

impl<T: Linked> List<T> {
    /// Where the first element's address lies.
    pub const FIRST_AT: usize = core::mem::offset_of!(Self, first);

    /// An empty list.
    pub const fn new() -> Self {
        Self { first: Cell::new(ptr::null()), last: Cell::new(ptr::null()), _elements: PhantomData }
    }

    /// The element at the front.
    #[inline]
    pub fn first(&self) -> Option<&'static T> {
        // SAFETY: elements are `'static`, and leave the list before they end (`push_front`).
        unsafe { self.first.get().as_ref() }
    }

    /// The element at the back.
    #[inline]
    pub fn last(&self) -> Option<&'static T> {
        // SAFETY: as for `first`.
        unsafe { self.last.get().as_ref() }
    }

    /// The element behind `element`, which is in this list.
    #[inline]
    pub fn next(element: &T) -> Option<&'static T> {
        // SAFETY: as for `first`.
        unsafe { element.links().next.get().cast::<T>().as_ref() }
    }

    fn prev(element: &T) -> Option<&'static T> {
        // SAFETY: as for `first`.
        unsafe { element.links().prev.get().cast::<T>().as_ref() }
    }

    /// Whether `element` is at the front; one load.
    #[inline]
    pub fn is_first(&self, element: &T) -> bool {
        ptr::eq(self.first.get(), element)
    }

    /// Whether `element` is in this list, if it was taken out of every list that it was in.
    pub fn has(&self, element: &T) -> bool {
        self.is_first(element) || Self::prev(element).is_some()
    }

    /// Puts an element, which is in no list, before all others. It has to be removed before it ends.
    pub fn push_front(&self, element: &'static T) {
        self.insert(element, None, self.first());
    }

    /// Puts an element, which is in no list, behind all others. It has to be removed before it ends.
    pub fn push_back(&self, element: &'static T) {
        self.insert(element, self.last(), None);
    }

    fn insert(&self, element: &'static T, prev: Option<&'static T>, next: Option<&'static T>) {
        element.links().prev.set(address(prev));
        element.links().next.set(address(next));
        self.join(prev, Some(element));
        self.join(Some(element), next);
    }

    /// Takes an element of this list out.
    pub fn remove(&self, element: &'static T) {
        self.join(Self::prev(element), Self::next(element));
        element.links().prev.set(ptr::null());
        element.links().next.set(ptr::null());
    }

    /// Makes `next` follow `prev`; none stands for the list's ends.
    fn join(&self, prev: Option<&'static T>, next: Option<&'static T>) {
        match prev {
            Some(prev) => prev.links().next.set(address(next)),
            None => self.first.set(next.map_or(ptr::null(), ptr::from_ref)),
        }
        match next {
            Some(next) => next.links().prev.set(address(prev)),
            None => self.last.set(prev.map_or(ptr::null(), ptr::from_ref)),
        }
    }

    /// The elements in order. The one that was just answered may be removed.
    pub fn iter(&self) -> impl Iterator<Item = &'static T> + use<T> {
        let mut next = self.first();
        core::iter::from_fn(move || {
            let element = next?;
            next = Self::next(element);
            Some(element)
        })
    }

    /// Makes the list empty, whatever state it and its elements are in.
    pub fn clear(&self) {
        self.first.set(ptr::null());
        self.last.set(ptr::null());
    }
}

fn address<T>(element: Option<&'static T>) -> *const () {
    element.map_or(ptr::null(), |element| ptr::from_ref(element).cast())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    struct Number(u32, Links);
    // SAFETY: the tests use one thread.
    unsafe impl Sync for Number {}

    impl Linked for Number {
        fn links(&self) -> &Links {
            &self.1
        }
    }

    fn number(value: u32) -> &'static Number {
        Box::leak(Box::new(Number(value, Links::new())))
    }

    fn values(list: &List<Number>) -> Vec<u32> {
        list.iter().map(|number| number.0).collect()
    }

    #[test]
    fn elements_stand_where_they_were_put() {
        let list = List::new();
        let [one, two, three] = [1, 2, 3].map(number);
        list.push_front(two);
        list.push_front(one);
        list.push_back(three);
        assert_eq!(values(&list), [1, 2, 3]);
        assert!(list.is_first(one) && list.has(three) && !list.has(number(4)));
        assert_eq!(list.last().unwrap().0, 3);
    }

    #[test]
    fn any_element_can_leave_also_while_it_is_looked_at() {
        for gone in 0..3 {
            let list = List::new();
            let numbers = [0, 1, 2].map(number);
            numbers.into_iter().for_each(|number| list.push_back(number));
            list.iter().filter(|number| number.0 == gone).for_each(|number| list.remove(number));
            assert_eq!(values(&list), (0..3).filter(|value| *value != gone).collect::<Vec<_>>());
            assert!(!list.has(numbers[gone as usize]));
            list.push_back(numbers[gone as usize]);
            assert_eq!(list.last().unwrap().0, gone);
            list.iter().for_each(|number| list.remove(number));
            assert!(list.first().is_none() && list.last().is_none());
        }
    }
}
