//! The client over TLS: with whom it speaks, and that nothing is shown to others.

use std::net::IpAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;

use super::*;

/// Every name is this machine.
struct Here;

#[async_trait::async_trait]
impl Resolve for Here {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

/// A server with a certificate for `api.example.com` and `127.0.0.1`: its port, what vouches for it, and
/// what keeps it there.
async fn server() -> (u16, tempfile::NamedTempFile, JoinSet<()>) {
    let names = ["api.example.com", "127.0.0.1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let ca_file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(ca_file.path(), made.cert.pem()).expect("writes");
    let key = made.signing_key.serialize_der().try_into().expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider serves them")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("is bound").port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.expect("accepts");
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0)
            {
            }
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", head.len());
            let _ = stream.write_all(&[answer.as_bytes(), &head].concat()).await;
        }
    });
    (port, ca_file, tasks)
}

async fn asked(client: &Client, url: &str) -> Result<String, Failed> {
    let directory = tempfile::tempdir().expect("a directory");
    let files = ArtifactDir::open(directory.path(), tokio::runtime::Handle::current()).expect("it opens");
    let hop = Hop {
        method: "GET".to_owned(),
        url: Url::parse(url).expect("a URL"),
        headers: Vec::new(),
        payload: Payload::None,
        deadline: deadline(Duration::from_secs(30)),
        max_body: 1 << 20,
        max_wire: 1 << 20,
        max_file: None,
        follows: true,
    };
    match client.exchange(hop, &files).await.0 {
        Ok(Reply { sink: Sink::Bytes(bytes), .. }) => Ok(String::from_utf8(bytes).expect("a text")),
        Ok(_) => panic!("nobody asked for a file"),
        Err(Missed::Failed(failed)) => Err(failed),
        Err(other) => panic!("{other:?}"),
    }
}

fn client(ca_file: Option<&std::path::Path>) -> Client {
    let settings = Settings {
        reach: Reach::new(vec!["127.0.0.1/32".parse().expect("a network")]),
        ca_file: ca_file.map(std::path::Path::to_owned),
        resolver: Some(Arc::new(Here)),
    };
    Client::new(settings, Redactor::default()).expect("the certificates are read")
}

#[tokio::test]
async fn https_is_spoken_with_whom_the_certificate_names() {
    let (port, ca_file, _server) = server().await;
    let client = client(Some(ca_file.path()));
    for host in ["api.example.com", "127.0.0.1"] {
        let seen = asked(&client, &format!("https://{host}:{port}/x")).await.expect("it answers");
        assert!(seen.starts_with("GET /x HTTP/1.1\r\n"), "{seen}");
        assert!(seen.contains(&format!("host: {host}:{port}\r\n")), "{seen}");
    }
    let other = asked(&client, &format!("https://other.example.com:{port}/")).await;
    assert!(matches!(&other, Err(Failed::ConnectionFailed(why)) if why.contains("certificate")), "{other:?}");
}

#[tokio::test]
async fn whom_nobody_vouches_for_is_sent_nothing() {
    let (port, _ca_file, _server) = server().await;
    let refused = asked(&client(None), &format!("https://api.example.com:{port}/")).await;
    assert!(
        matches!(&refused, Err(Failed::ConnectionFailed(why)) if why.contains("certificate")),
        "{refused:?}"
    );
    let missing = Settings { ca_file: Some("/nowhere.pem".into()), ..Settings::default() };
    let error = Client::new(missing, Redactor::default()).err().expect("there is no such file");
    assert!(error.to_string().contains("/nowhere.pem"), "{error}");
}
