//! What every stand-in stands on: listeners on loopback with and without TLS, bodies that break
//! off, and requests of its own.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;

/// Bytes of a request's body, at most.
const MAX_BODY: usize = 16 << 20;
/// How long somebody else may take to answer a request of ours; fal waits as long.
const PATIENCE: Duration = Duration::from_secs(15);

/// The body of an answer; one that fails breaks the connection off.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Why there is no answer: the connection is closed instead.
pub(crate) type Closed = io::Error;

/// A request that has arrived whole.
pub(crate) struct Asked {
    pub(crate) head: hyper::http::request::Parts,
    pub(crate) body: Bytes,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
}

impl Asked {
    /// The value of a header; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Where the asker found us, without a path.
    pub(crate) fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.header("host"))
    }
}

/// Closes the connection.
pub(crate) fn closed() -> Closed {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the script says so")
}

/// A body that is there already.
pub(crate) fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A certificate for 127.0.0.1 and `localhost`, and what vouches for it.
pub struct Certificate {
    /// The authority, as PEM: give it to a client as the only one that it trusts.
    pub authority: String,
    config: Arc<ServerConfig>,
}

impl Certificate {
    /// A new one.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn new() -> io::Result<Self> {
        let wrong = io::Error::other::<rcgen::Error>;
        let mut authority = rcgen::CertificateParams::new([]).map_err(wrong)?;
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        authority.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        authority.distinguished_name.push(rcgen::DnType::CommonName, "stand-in");
        let issuer_key = rcgen::KeyPair::generate().map_err(wrong)?;
        let vouching = authority.self_signed(&issuer_key).map_err(wrong)?;
        let issuer = rcgen::Issuer::new(authority, issuer_key);
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let mut params = rcgen::CertificateParams::new(names).map_err(wrong)?;
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let key = rcgen::KeyPair::generate().map_err(wrong)?;
        let certificate = params.signed_by(&key, &issuer).map_err(wrong)?;
        let private = key.serialize_der().try_into().map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .map_err(io::Error::other)?;
        Ok(Self { authority: vouching.pem(), config: Arc::new(config) })
    }
}

/// Serves what arrives on a listener, for as long as the future lives.
pub(crate) async fn serve<A, F>(listener: TcpListener, tls: Option<Arc<Certificate>>, answer: Arc<A>)
where
    A: Fn(Asked) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, Closed>> + Send,
{
    let mut connections = JoinSet::new();
    let acceptor = tls.map(|certificate| TlsAcceptor::from(certificate.config.clone()));
    while let Ok((tcp, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (answer, acceptor) = (answer.clone(), acceptor.clone());
        connections.spawn(async move {
            match acceptor {
                None => connection(tcp, "http", &*answer).await,
                Some(acceptor) => {
                    // Otherwise it does not trust us, or speaks no TLS.
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        connection(stream, "https", &*answer).await;
                    }
                }
            }
        });
    }
}

async fn connection<S, A, F>(stream: S, scheme: &'static str, answer: &A)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Asked) -> F,
    F: Future<Output = Result<Response<Body>, Closed>>,
{
    let service = service_fn(async |request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            let mut response = Response::new(whole("the body is too large, or did not arrive"));
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            return Ok(response);
        };
        answer(Asked { head, body: body.to_bytes(), scheme }).await
    });
    // How it ended is the other side's to say.
    let _ = server::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Posts to somebody else, without TLS, and gives the status of the answer.
pub(crate) async fn post(url: &str, headers: &[(&str, String)], body: Bytes) -> Result<u16, String> {
    let uri: Uri = url.parse().map_err(|_| format!("{url} is no URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("{url}: a stand-in posts to http:// only"));
    }
    let authority = uri.authority().ok_or_else(|| format!("{url} names no host"))?;
    let port = authority.port_u16().unwrap_or(80);
    let mut request = Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header("host", authority.as_str())
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
    let exchange = async {
        let tcp = TcpStream::connect((authority.host(), port)).await.map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            client::handshake(TokioIo::new(tcp)).await.map_err(|error| error.to_string())?;
        let answered = async {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            Ok(response.status().as_u16())
        };
        // When the connection has ended, the sender knows how.
        let driven = async {
            let _ = connection.await;
            std::future::pending().await
        };
        tokio::select! {
            answered = answered => answered,
            answered = driven => answered,
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}
