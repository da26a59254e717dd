use carolina_sockets::prelude::*;

#[channel("/an-enum")]
enum AnEnum {
    Variant,
}

#[channel]
trait ATrait {}

#[channel("/a-function")]
fn a_function() {}

#[channel]
mod a_module {}

#[channel("/a-constant")]
const A_CONSTANT: u8 = 1;

#[channel]
#[derive(Default)]
struct Custom;

#[channel]
impl Clone for Custom {
    #[on("event")]
    fn clone(&self) -> Self {
        Self
    }
}

#[channel("/custom", private)]
impl Custom {
    #[on("event")]
    fn event(&self) {}
}

fn main() {
    let _ = (Custom.clone(), AnEnum::Variant, a_function(), A_CONSTANT);
}
