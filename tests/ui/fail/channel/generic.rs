use std::marker::PhantomData;

use carolina_sockets::prelude::*;

#[channel("/typed")]
struct Typed<T>(PhantomData<T>);

#[channel]
impl<T: Send + Sync + 'static> Typed<T> {
    #[on("event")]
    fn event(&self) {}
}

#[channel("/borrowing")]
struct Borrowing<'a>(&'a str);

#[channel]
impl Borrowing<'_> {
    #[on("event")]
    fn event(&self) {}
}

#[channel("/counted")]
struct Counted<const N: usize>([u8; N]);

fn main() {}
