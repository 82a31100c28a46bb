//! `/`: what a person sees who opens the registry's address in a browser.

use axum::response::Html;

/// A page that names the service and nothing else: it is shown to everybody.
pub(crate) async fn show() -> Html<&'static str> {
    Html(include_str!("landing.html"))
}
