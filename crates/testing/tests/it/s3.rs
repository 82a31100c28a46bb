//! The S3 fixture, spoken to without any S3 client.

use std::net::TcpStream;

use kapelle_testing::s3::S3Server;

#[tokio::test]
async fn a_server_listens_with_an_empty_bucket_until_it_is_dropped() {
    let server = S3Server::start().await;
    let address = server.endpoint().replace("http://", "");
    let folder = server.bucket_folder();

    assert!(TcpStream::connect(&address).is_ok());
    assert_eq!(folder.read_dir().expect("the bucket's folder").count(), 0);

    drop(server);
    tokio::task::yield_now().await;
    assert!(TcpStream::connect(&address).is_err());
    assert!(!folder.exists());
}
