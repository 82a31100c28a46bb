//! Figures of requests: made once per route, method and status, because finding them by name costs more than counting.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use metrics::{Counter, Histogram};

/// The figures of every kind of request that was answered so far.
#[derive(Default)]
pub(crate) struct Figures {
    /// In a list, because there are few of them and most requests are for the same two.
    routes: ArcSwap<Vec<Arc<Route>>>,
}

/// The figures of one route.
struct Route {
    pattern: String,
    seconds: Histogram,
    requests: ArcSwap<Vec<Requests>>,
}

#[derive(Clone)]
struct Requests {
    method: &'static str,
    status: StatusCode,
    counter: Counter,
}

impl Figures {
    /// Counts a request. `route` is a pattern of ours, so there are few of them.
    pub(crate) fn record(
        &self,
        route: &str,
        method: &'static str,
        status: StatusCode,
        elapsed: Duration,
    ) {
        let routes = self.routes.load();
        if let Some(figures) = routes.iter().find(|known| known.pattern == route) {
            figures.record(method, status, elapsed);
        } else {
            drop(routes);
            self.add(route).record(method, status, elapsed);
        }
    }

    fn add(&self, route: &str) -> Arc<Route> {
        let new = Arc::new(Route::new(route));
        self.routes.rcu(|routes| {
            let mut routes = Vec::clone(routes);
            routes.push(Arc::clone(&new));
            routes
        });
        new
    }
}

impl Route {
    fn new(route: &str) -> Self {
        Self {
            pattern: route.to_owned(),
            seconds: metrics::histogram!("kapelle_http_request_seconds", "route" => route.to_owned()),
            requests: ArcSwap::default(),
        }
    }

    fn record(&self, method: &'static str, status: StatusCode, elapsed: Duration) {
        self.seconds.record(elapsed.as_secs_f64());
        let requests = self.requests.load();
        let known = |known: &&Requests| known.status == status && known.method == method;
        if let Some(known) = requests.iter().find(known) {
            known.counter.increment(1);
        } else {
            drop(requests);
            self.add(method, status).increment(1);
        }
    }

    fn add(&self, method: &'static str, status: StatusCode) -> Counter {
        let counter = metrics::counter!(
            "kapelle_http_requests_total",
            "route" => self.pattern.clone(), "method" => method, "status" => status.as_str().to_owned()
        );
        let new = Requests {
            method,
            status,
            counter: counter.clone(),
        };
        self.requests.rcu(|requests| {
            let mut requests = Vec::clone(requests);
            requests.push(new.clone());
            requests
        });
        counter
    }
}
