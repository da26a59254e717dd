//! The page at `/contract`, if `contract_page` is set (rule R22).

#[cfg(not(feature = "contract"))]
pub(super) use absent::ContractPage;
#[cfg(feature = "contract")]
pub(super) use present::ContractPage;

#[cfg(not(feature = "contract"))]
mod absent {
    use axum::body::Body;
    use http::{Request, Response};

    use crate::{
        config::Config,
        error::{Error, Result},
        plan::Plan,
    };

    /// There is none without the feature.
    pub(in super::super) struct ContractPage;

    impl ContractPage {
        pub(in super::super) fn of(_: &Plan, config: &Config) -> Result<Self> {
            if config.contract_page {
                return Err(Error::Config(vec![
                    "contract_page: this program was built without it; enable the feature `contract` of carolina-sockets".to_owned(),
                ]));
            }
            Ok(Self)
        }

        pub(in super::super) fn answer<B>(&self, _: &Request<B>) -> Option<Response<Body>> {
            None
        }
    }
}

#[cfg(feature = "contract")]
mod present {
    use axum::body::Body;
    use bytes::Bytes;
    use http::{HeaderValue, Method, Request, Response, header};

    use super::super::client;
    use crate::{
        config::Config,
        contract::{Contract, page},
        error::Result,
        plan::Plan,
    };

    /// The page, made once.
    pub(in super::super) struct ContractPage(Option<Bytes>);

    impl ContractPage {
        pub(in super::super) fn of(plan: &Plan, config: &Config) -> Result<Self> {
            let made = config.contract_page.then(|| page(&Contract::of(plan, config), &client::text()));
            Ok(Self(made.map(Bytes::from)))
        }

        pub(in super::super) fn answer<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
            let page = self.0.as_ref()?;
            if request.uri().path() != "/contract" || !matches!(*request.method(), Method::GET | Method::HEAD) {
                return None;
            }
            let mut response = Response::new(Body::from(page.clone()));
            for (name, value) in [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CACHE_CONTROL, "no-cache"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                // It speaks to its own server alone, and no other page may frame it.
                (
                    header::CONTENT_SECURITY_POLICY,
                    "default-src 'none'; img-src data:; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
                ),
            ] {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            Some(response)
        }
    }
}
