// Every kind of path that the rule refuses; `tests/paths.rs` has the configuration and the command line refuse the same.
use carolina_sockets::prelude::*;

#[channel("")]
#[derive(Default)]
struct Empty;

#[channel("relative")]
#[derive(Default)]
struct Relative;

#[channel("/one,two")]
#[derive(Default)]
struct Comma;

#[channel("/search?for=this")]
#[derive(Default)]
struct Query;

#[channel("/page#top")]
#[derive(Default)]
struct Fragment;

#[channel("/two words")]
#[derive(Default)]
struct Space;

#[channel("/two\twords")]
#[derive(Default)]
struct Tab;

#[channel("/two\nlines")]
#[derive(Default)]
struct Line;

#[channel("/say/\"hello\"")]
#[derive(Default)]
struct Quotes;

#[channel("/it's")]
#[derive(Default)]
struct Apostrophe;

#[channel("/back\\slash")]
#[derive(Default)]
struct Backslash;

#[channel("/[a]")]
#[derive(Default)]
struct Brackets;

#[channel("/news/")]
#[derive(Default)]
struct Trailing;

#[channel("//news")]
#[derive(Default)]
struct Double;

#[channel("/news//sport")]
#[derive(Default)]
struct Inner;

#[channel("/long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-path")]
#[derive(Default)]
struct Long;

fn main() {}
