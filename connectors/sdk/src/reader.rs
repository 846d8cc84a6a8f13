//! Readers: what gives pages one after the other.

use std::cell::RefCell;

use crate::types::Fault;

/// Something that gives pages. Written as an ordinary struct with a cursor in it; the sdk makes a resource of it.
pub trait Pages {
    /// The page of a step.
    type Page;

    /// The next page; none at the end. After a fault it is not called again.
    ///
    /// # Errors
    /// The fault that ends the read.
    fn next(&mut self) -> Result<Option<Self::Page>, Fault>;
}

/// A reader of a step, which any `Pages` can be turned into.
pub struct Reader<Page>(RefCell<Box<dyn Pages<Page = Page>>>);

impl<Page> Reader<Page> {
    /// Makes a reader of something that gives pages.
    pub fn new(pages: impl Pages<Page = Page> + 'static) -> Self {
        Self(RefCell::new(Box::new(pages)))
    }

    fn next_page(&self) -> Result<Option<Page>, Fault> {
        self.0.borrow_mut().next()
    }
}

impl crate::identity_store::GuestReader for Reader<crate::identity_store::Page> {
    fn next(&self) -> Result<Option<crate::identity_store::Page>, Fault> {
        self.next_page()
    }
}

impl crate::data_source::GuestReader for Reader<crate::data_source::Page> {
    fn next(&self) -> Result<Option<crate::data_source::Page>, Fault> {
        self.next_page()
    }
}

impl crate::access_from_target::GuestReader for Reader<crate::access_from_target::Page> {
    fn next(&self) -> Result<Option<crate::access_from_target::Page>, Fault> {
        self.next_page()
    }
}
