//! The files of `static_dir`.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use futures_core::future::BoxFuture;
use tower_http::services::{
    ServeDir,
    fs::{Backend, TokioBackend, TokioFile},
};

/// Serves the files of a folder, except hidden ones and what lies outside of it.
pub(super) fn static_files(directory: &Path) -> ServeDir<tower_http::services::fs::DefaultServeDirFallback, Visible> {
    // As `ServeDir` does, so that its paths begin with this one.
    let base = Path::new(".").join(directory);
    ServeDir::with_backend(directory, Visible { base })
}

/// Reads files below `base`. Not found are:
///
/// - names that begin with a dot, such as `.env` and `.git`, in any part of the path. `.well-known` (RFC 8615) is
///   public by its purpose.
/// - links to where the same path would not be served: out of the folder, or to a hidden file.
/// - what is neither a file nor a folder.
#[derive(Clone, Debug)]
pub(super) struct Visible {
    base: PathBuf,
}

impl Visible {
    /// The path with all links followed, if it may be served.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let is_visible = |path: &Path, base: &Path| path.strip_prefix(base).is_ok_and(|below| !is_hidden(below));
        if !is_visible(path, &self.base) {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Not once at the start, since the folder may be a link that a deployment sets anew.
        let (resolved, base) = (path.canonicalize()?, self.base.canonicalize()?);
        let kind = resolved.metadata()?;
        if is_visible(&resolved, &base) && (kind.is_file() || kind.is_dir()) {
            Ok(resolved)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    async fn resolved(self, path: PathBuf) -> io::Result<PathBuf> {
        tokio::task::spawn_blocking(move || self.resolve(&path)).await.map_err(io::Error::other)?
    }
}

fn is_hidden(path: &Path) -> bool {
    path.components().any(|component| match component {
        Component::Normal(name) => name.as_encoded_bytes().starts_with(b".") && name != ".well-known",
        // `ServeDir` lets no such component through.
        _ => true,
    })
}

impl Backend for Visible {
    type File = TokioFile;
    type Metadata = std::fs::Metadata;
    type OpenFuture = BoxFuture<'static, io::Result<TokioFile>>;
    type MetadataFuture = BoxFuture<'static, io::Result<std::fs::Metadata>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let this = self.clone();
        Box::pin(async move { TokioBackend.open(this.resolved(path).await?).await })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let this = self.clone();
        Box::pin(async move { TokioBackend.metadata(this.resolved(path).await?).await })
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, StatusCode};
    use tower_service::Service;

    use super::*;

    /// A folder `public` beside a file, removed at the end.
    struct Site(PathBuf);

    impl Site {
        fn new() -> Self {
            let root = std::env::temp_dir().join(format!("static-files-{:016x}", rand::random::<u64>()));
            let site = Self(root);
            for (file, text) in [
                ("public/index.html", "index"),
                ("public/a.txt", "a"),
                ("public/.env", "secret"),
                ("public/.git/config", "secret"),
                ("public/sub/.hidden/x.txt", "secret"),
                ("public/sub/b.txt", "b"),
                ("public/.well-known/security.txt", "contact"),
                ("outside.txt", "secret"),
                ("other/c.txt", "secret"),
            ] {
                let path = site.0.join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            site
        }

        async fn get(&self, path: &str) -> StatusCode {
            self.get_below("public", path).await
        }

        async fn get_below(&self, folder: &str, path: &str) -> StatusCode {
            let request = Request::get(path).body(Body::empty()).unwrap();
            static_files(&self.0.join(folder)).call(request).await.unwrap().status()
        }
    }

    impl Drop for Site {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn r14_files_of_the_folder_are_served() {
        let site = Site::new();
        for path in ["/", "/a.txt", "/sub/b.txt", "/%61.txt", "/.well-known/security.txt", "/sub/./b.txt"] {
            assert_eq!(site.get(path).await, StatusCode::OK, "{path}");
        }
        assert_eq!(site.get("/sub").await, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(site.get("/none.txt").await, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn r14_hidden_files_are_not_found() {
        let site = Site::new();
        for path in [
            "/.env",
            "/%2eenv",
            "/%2Eenv",
            "/.git/config",
            "/.git",
            "/.git/",
            "/%2e%67it/config",
            "/sub/.hidden/x.txt",
            "/sub%2f.hidden/x.txt",
            "//.env",
            "/./.env",
            "/.well-known/../.env",
            "/%2e%2e/outside.txt",
        ] {
            assert_eq!(site.get(path).await, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn r14_links_out_of_the_folder_are_not_followed() {
        use std::os::unix::fs::symlink;

        let site = Site::new();
        let public = site.0.join("public");
        symlink("../outside.txt", public.join("link.txt")).unwrap();
        symlink(site.0.join("outside.txt"), public.join("absolute.txt")).unwrap();
        symlink("../other", public.join("folder")).unwrap();
        symlink(".env", public.join("env.txt")).unwrap();
        symlink("/dev/null", public.join("device")).unwrap();
        for path in ["/link.txt", "/absolute.txt", "/folder/c.txt", "/folder", "/folder/", "/env.txt", "/device"] {
            assert_eq!(site.get(path).await, StatusCode::NOT_FOUND, "{path}");
        }
        symlink("a.txt", public.join("inside.txt")).unwrap();
        assert_eq!(site.get("/inside.txt").await, StatusCode::OK);
        // The folder itself may be a link.
        symlink("public", site.0.join("current")).unwrap();
        assert_eq!(site.get_below("current", "/a.txt").await, StatusCode::OK);
    }
}
