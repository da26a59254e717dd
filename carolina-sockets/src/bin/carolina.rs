//! Makes applications and channels: `carolina new my-app`, `carolina generate channel MyChannel`.

fn main() -> std::process::ExitCode {
    carolina_sockets::carolina()
}
