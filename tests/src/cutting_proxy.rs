//! A proxy that passes requests on and cuts WebSockets.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// When a WebSocket is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// So long after the answer that opens it.
    Opened(Duration),
    /// When the server has the client's ping of the upgrade, and the client no answer.
    Pinged,
    /// When the client has the answer, and the server not what the client sends next.
    Answered,
}

/// The proxy. It ends with the test.
#[derive(Debug)]
pub struct CuttingProxy {
    url: String,
    task: JoinHandle<()>,
}

impl CuttingProxy {
    /// Starts one in front of the service at `url`. WebSockets with `cut=1` in their query are cut.
    pub async fn start(url: &str, cut: Cut) -> Self {
        let to = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move {
                    // An error ends both sides, as a cut does.
                    let _ = pass_on(near, &to, cut).await;
                });
            }
        });
        Self { url, task }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(mut near: TcpStream, to: &str, cut: Cut) -> io::Result<()> {
    let mut far = TcpStream::connect(to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let head = pass_chunk(&mut near, &mut far).await?;
    let head = String::from_utf8_lossy(&head);
    if !(head.contains("transport=websocket") && head.contains("cut=1")) {
        copy_bidirectional(&mut near, &mut far).await?;
        return Ok(());
    }
    pass_chunk(&mut far, &mut near).await?;
    match cut {
        // A timer of no time at all runs for up to a millisecond, in which much may pass.
        Cut::Opened(Duration::ZERO) => {}
        Cut::Opened(time) => {
            let _ = tokio::time::timeout(time, copy_bidirectional(&mut near, &mut far)).await;
        }
        Cut::Pinged => {
            pass_chunk(&mut near, &mut far).await?;
        }
        Cut::Answered => {
            pass_chunk(&mut near, &mut far).await?;
            pass_chunk(&mut far, &mut near).await?;
            // What the client sends next.
            near.read_exact(&mut [0; 1]).await?;
        }
    }
    Ok(())
}

/// Passes on what comes at once: a head, or a frame, since these clients wait for one another.
async fn pass_chunk(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut chunk = vec![0; 16 * 1024];
    let read = from.read(&mut chunk).await?;
    chunk.truncate(read);
    to.write_all(&chunk).await?;
    Ok(chunk)
}
