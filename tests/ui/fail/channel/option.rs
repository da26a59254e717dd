use carolina_sockets::prelude::*;

#[channel("/near", privat)]
#[derive(Default)]
struct Near;

#[channel("/far", hidden, public)]
#[derive(Default)]
struct Far;

#[channel(private, "/twice", private)]
#[derive(Default)]
struct Twice;

#[channel("/value", private = true)]
#[derive(Default)]
struct Value;

#[channel(path = "/named")]
#[derive(Default)]
struct Named;

fn main() {}
