//! The queue's rules: who gets a job, who may still write, what happens to the lost ones.

use std::collections::BTreeSet;
use std::time::Duration;

use kapelle_storage::db::job_log::{self, LogLine};
use kapelle_storage::db::jobs::{
    self, Cancelled, Claimant, Due, Filter, Job, Lease, NewJob, Outcome,
};
use kapelle_storage::db::{depots, schedules};
use kapelle_storage::{Database, Transaction};
use kapelle_testing::on_both_databases;
use tokio::time::timeout;

use crate::world::{NOW, open};

const LEASE: i64 = NOW + 60_000;

on_both_databases! {
    async fn what_somebody_waits_for_goes_first(url: String) {
        let database = open(&url).await;
        let mut tx = database.write().await.unwrap();
        jobs::enqueue(&mut tx, NewJob { priority: 2, ..job("dists", NOW - 10) }).await.unwrap();
        jobs::enqueue(&mut tx, NewJob { priority: 1, ..job("polled", NOW - 5) }).await.unwrap();
        let pushed = jobs::enqueue(&mut tx, NewJob { priority: 0, ..job("pushed", NOW) }).await.unwrap();
        assert_eq!(claim(&mut tx, NOW).await.unwrap().id, pushed);

        let asked = jobs::enqueue(&mut tx, NewJob { priority: 2, ..job("asked", NOW) }).await.unwrap();
        assert_eq!(jobs::enqueue(&mut tx, job("asked", NOW)).await.unwrap(), asked);
        assert_eq!(claim(&mut tx, NOW).await.unwrap().id, asked, "it became urgent");
    }

    async fn many_workers_share_the_jobs_and_no_job_runs_twice(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let mut queued = BTreeSet::new();
        for number in 0..30 {
            queued.insert(jobs::enqueue(&mut tx, job(&format!("{number}"), NOW)).await.unwrap());
        }
        tx.commit().await.unwrap();
        let workers: Vec<_> = (0..4).map(|number| tokio::spawn(drain(db.clone(), number))).collect();
        let mut claimed = Vec::new();
        for worker in workers {
            claimed.extend(worker.await.unwrap());
        }
        assert_eq!(claimed.len(), 30);
        assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), queued);
    }

    async fn due_jobs_come_in_the_order_of_their_time(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        assert_eq!(jobs::next_run_at(&mut tx).await.unwrap(), None);
        let late = jobs::enqueue(&mut tx, job("late", NOW + 1)).await.unwrap();
        let second = jobs::enqueue(&mut tx, job("second", NOW)).await.unwrap();
        let first = jobs::enqueue(&mut tx, job("first", NOW - 1)).await.unwrap();
        assert_eq!(jobs::next_run_at(&mut tx).await.unwrap(), Some(NOW - 1));
        assert_eq!(claim(&mut tx, NOW).await.unwrap().id, first);
        assert_eq!(claim(&mut tx, NOW).await.unwrap().id, second);
        assert_eq!(claim(&mut tx, NOW).await, None);
        assert_eq!(claim(&mut tx, NOW + 1).await.unwrap().id, late);
        let open = jobs::count_open(&mut tx).await.unwrap();
        assert_eq!(open, [("running".to_owned(), 3)]);
    }

    async fn a_worker_takes_nothing_that_can_wait_longer_than_it_says(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let patient = jobs::enqueue(&mut tx, NewJob { priority: 2, ..job("a", NOW - 5) }).await.unwrap();
        let urgent = jobs::enqueue(&mut tx, NewJob { priority: 0, ..job("b", NOW) }).await.unwrap();
        jobs::enqueue(&mut tx, NewJob { priority: 1, ..job("c", NOW + 5) }).await.unwrap();
        assert_eq!(jobs::count_due(&mut tx, 1, NOW).await.unwrap(), 0);
        assert_eq!(jobs::count_due(&mut tx, 1, NOW + 5).await.unwrap(), 1);
        for (least_urgent, expected) in [(1, Some(urgent)), (1, None), (2, Some(patient)), (2, None)] {
            let due = jobs::due(&mut tx, least_urgent, NOW).await.unwrap();
            assert_eq!(due, Due { leases: false, jobs: expected.is_some() }, "{least_urgent}");
            let claimed = jobs::claim(&mut tx, claimant("node"), least_urgent, NOW, LEASE).await.unwrap();
            assert_eq!(claimed.map(|job| job.id), expected, "{least_urgent}");
        }
        for (least_urgent, now, leases, jobs) in [(1, NOW + 5, false, true), (0, LEASE, false, false), (0, LEASE + 1, true, false)] {
            assert_eq!(jobs::due(&mut tx, least_urgent, now).await.unwrap(), Due { leases, jobs });
        }
    }

    async fn a_job_is_forgotten_only_by_its_attempt_and_of_its_priority(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let id = jobs::enqueue(&mut tx, NewJob { priority: 1, ..job("a", NOW) }).await.unwrap();
        assert!(!jobs::finish_or_forget(&mut tx, id, 0, 1, "", NOW).await.unwrap(), "it does not run yet");
        claim(&mut tx, NOW).await.unwrap();
        let line = LogLine { job_id: id, logged_at: NOW, line: "begun".to_owned() };
        job_log::append(&mut tx, &[line]).await.unwrap();
        for (attempt, ended) in [(2, false), (1, true), (1, false)] {
            assert_eq!(jobs::finish_or_forget(&mut tx, id, attempt, 1, "", NOW).await.unwrap(), ended);
            let lines = job_log::list(&mut tx, id, 10).await.unwrap();
            assert_eq!(lines.is_empty(), jobs::find(&mut tx, id).await.unwrap().is_none());
        }
    }

    async fn a_job_of_another_priority_is_ended_by_its_attempt_and_stays(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let id = jobs::enqueue(&mut tx, NewJob { priority: 0, ..job("a", NOW) }).await.unwrap();
        claim(&mut tx, NOW).await.unwrap();
        for (attempt, ended) in [(2, false), (1, true), (1, false)] {
            assert_eq!(jobs::finish_or_forget(&mut tx, id, attempt, 1, "done", NOW + 1).await.unwrap(), ended);
        }
        let over = jobs::find(&mut tx, id).await.unwrap().unwrap();
        assert_eq!((over.state.as_str(), over.message.as_str()), ("success", "done"));
        assert_eq!((over.finished_at, over.owner, over.lease_until), (Some(NOW + 1), None, None));
    }

    async fn a_job_is_left_to_the_depot_it_is_for_as_long_as_somebody_works_there(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let queue = async |tx: &mut Transaction, key: &str| {
            let id = jobs::enqueue(tx, job(key, NOW)).await.unwrap();
            jobs::leave_to(tx, id, "there").await.unwrap();
            id
        };
        let nobody_knows_it = queue(&mut tx, "a").await;
        assert_eq!(claim(&mut tx, NOW).await.unwrap().id, nobody_knows_it);

        depots::beat(&mut tx, "there", "server", false, NOW).await.unwrap();
        let nobody_works_there = queue(&mut tx, "b").await;
        assert_eq!(claim(&mut tx, NOW).await.unwrap().id, nobody_works_there);

        depots::beat(&mut tx, "there", "worker", true, NOW).await.unwrap();
        depots::beat(&mut tx, "there", "server", false, NOW + 1).await.unwrap();
        let theirs = queue(&mut tx, "c").await;
        let ours = jobs::enqueue(&mut tx, job("d", NOW + 1)).await.unwrap();
        assert_eq!(claim(&mut tx, NOW + 1).await.unwrap().id, ours);
        assert_eq!(claim(&mut tx, NOW + 1).await, None);
        let there = Claimant { depot: "there", ..claimant("worker") };
        assert_eq!(jobs::claim(&mut tx, there, 2, NOW, LEASE).await.unwrap().unwrap().id, theirs);

        let left = queue(&mut tx, "e").await;
        let later = Claimant { present_since: NOW, ..claimant("node") };
        assert_eq!(jobs::claim(&mut tx, later, 2, NOW, LEASE).await.unwrap().unwrap().id, left);
        let seen = depots::find(&mut tx, "there").await.unwrap().unwrap();
        assert_eq!((seen.node.as_str(), seen.seen_at, seen.works_at), ("server", NOW + 1, NOW));
        assert_eq!(depots::prune(&mut tx, NOW + 2).await.unwrap(), 1);
        assert_eq!(depots::list(&mut tx).await.unwrap(), []);
    }

    async fn one_job_per_key_is_queued_and_one_running(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let first = jobs::enqueue(&mut tx, job("sync:1", NOW + 500)).await.unwrap();
        assert_eq!(jobs::enqueue(&mut tx, job("sync:1", NOW)).await.unwrap(), first);
        assert_eq!(jobs::enqueue(&mut tx, job("sync:1", NOW + 900)).await.unwrap(), first);
        let running = claim(&mut tx, NOW).await.unwrap();
        assert_eq!((running.id, running.run_at), (first, NOW));

        let second = jobs::enqueue(&mut tx, job("sync:1", NOW)).await.unwrap();
        assert_ne!(second, first);
        assert_eq!(claim(&mut tx, NOW).await, None);
        assert!(jobs::finish(&mut tx, first, 1, Outcome::Success, "", NOW).await.unwrap());
        assert_eq!(claim(&mut tx, NOW).await.unwrap().id, second);
    }

    async fn jobs_without_a_key_do_not_stand_in_each_others_way(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let keyless = NewJob { exclusive_key: None, ..job("", NOW) };
        let first = jobs::enqueue(&mut tx, keyless).await.unwrap();
        let second = jobs::enqueue(&mut tx, keyless).await.unwrap();
        assert_eq!(claim(&mut tx, NOW).await.unwrap().id, first);
        assert_eq!(claim(&mut tx, NOW).await.unwrap().id, second);
    }

    async fn a_worker_that_lost_its_lease_can_write_nothing(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let id = jobs::enqueue(&mut tx, job("a", NOW)).await.unwrap();
        claim(&mut tx, NOW).await.unwrap();
        assert_eq!(jobs::heartbeat(&mut tx, id, 1, "node", LEASE + 1).await.unwrap(), Lease::Held);
        assert_eq!(jobs::heartbeat(&mut tx, id, 1, "thief", LEASE + 1).await.unwrap(), Lease::Lost);
        assert_eq!(jobs::reclaim_expired(&mut tx, LEASE).await.unwrap(), 0);
        assert_eq!(jobs::reclaim_expired(&mut tx, LEASE + 2).await.unwrap(), 1);
        let again = claim(&mut tx, LEASE + 2).await.unwrap();
        assert_eq!((again.id, again.attempt), (id, 2));

        assert!(!jobs::is_held(&mut tx, id, 1).await.unwrap());
        assert!(jobs::is_held(&mut tx, id, 2).await.unwrap());
        assert_eq!(jobs::heartbeat(&mut tx, id, 1, "node", LEASE * 2).await.unwrap(), Lease::Lost);
        assert!(!jobs::progress(&mut tx, id, 1, 1, 2, "").await.unwrap());
        assert!(!jobs::finish(&mut tx, id, 1, Outcome::Success, "", NOW).await.unwrap());
        assert!(!jobs::retry_later(&mut tx, id, 1, NOW, "", NOW).await.unwrap());
        assert!(jobs::progress(&mut tx, id, 2, 1, 2, "half").await.unwrap());
        let found = jobs::find(&mut tx, id).await.unwrap().unwrap();
        assert_eq!((found.progress_done, found.progress_total, found.message.as_str()), (1, 2, "half"));
    }

    async fn a_failed_job_waits_for_its_next_attempt(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let id = jobs::enqueue(&mut tx, job("a", NOW)).await.unwrap();
        claim(&mut tx, NOW).await.unwrap();
        assert!(jobs::retry_later(&mut tx, id, 1, NOW + 100, "no route", NOW).await.unwrap());
        let waiting = jobs::find(&mut tx, id).await.unwrap().unwrap();
        assert_eq!((waiting.state.as_str(), waiting.message.as_str(), waiting.owner), ("queued", "no route", None));
        assert_eq!(claim(&mut tx, NOW + 99).await, None);
        assert_eq!(claim(&mut tx, NOW + 100).await.unwrap().attempt, 2);
    }

    async fn a_claim_that_is_given_up_is_taken_over_at_once_and_a_later_one_stays(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        jobs::enqueue(&mut tx, job("a", NOW)).await.unwrap();
        let first = claim(&mut tx, NOW).await.unwrap();
        jobs::give_up(&mut tx, &first, NOW + 1).await.unwrap();
        assert_eq!(jobs::reclaim_expired(&mut tx, NOW + 1).await.unwrap(), 1);
        let second = claim(&mut tx, NOW + 1).await.unwrap();
        assert_eq!((second.id, second.attempt), (first.id, 2));

        jobs::give_up(&mut tx, &first, NOW + 2).await.unwrap();
        assert_eq!(jobs::reclaim_expired(&mut tx, NOW + 2).await.unwrap(), 0);
        assert!(jobs::is_held(&mut tx, second.id, second.attempt).await.unwrap());
    }

    async fn a_failed_job_gives_way_to_the_same_job_queued_meanwhile(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let first = jobs::enqueue(&mut tx, job("a", NOW)).await.unwrap();
        claim(&mut tx, NOW).await.unwrap();
        let twin = jobs::enqueue(&mut tx, job("a", NOW)).await.unwrap();
        assert!(jobs::retry_later(&mut tx, first, 1, NOW, "no route", NOW).await.unwrap());
        let over = jobs::find(&mut tx, first).await.unwrap().unwrap();
        assert_eq!(over.state, "error");
        assert_eq!(over.message, "no route (superseded: the same job is queued again)");
        assert_eq!(claim(&mut tx, NOW).await.unwrap().id, twin);
    }

    async fn a_twin_that_is_just_being_queued_is_noticed(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let failed = jobs::enqueue(&mut tx, job("failed", NOW)).await.unwrap();
        let lost = jobs::enqueue(&mut tx, job("lost", NOW)).await.unwrap();
        for _ in 0..2 {
            claim(&mut tx, NOW).await.unwrap();
        }
        tx.commit().await.unwrap();

        for (id, key) in [(failed, "failed"), (lost, "lost")] {
            let mut queueing = db.write().await.unwrap();
            let twin = jobs::enqueue(&mut queueing, job(key, NOW)).await.unwrap();
            let other = db.clone();
            let mut again = tokio::spawn(async move {
                let mut tx = other.write().await.unwrap();
                if id == failed {
                    assert!(jobs::retry_later(&mut tx, id, 1, NOW, "no route", NOW).await.unwrap());
                } else {
                    assert_eq!(jobs::reclaim_expired(&mut tx, LEASE + 1).await.unwrap(), 1);
                }
                tx.commit().await.unwrap();
            });
            let early = timeout(Duration::from_millis(300), &mut again).await;
            assert!(early.is_err(), "it waits for who is queueing");
            queueing.commit().await.unwrap();
            again.await.unwrap();
            let mut on = db.read().await.unwrap();
            assert_eq!(jobs::find(&mut on, id).await.unwrap().unwrap().state, "error");
            assert_eq!(jobs::find(&mut on, twin).await.unwrap().unwrap().state, "queued");
        }
    }

    async fn lost_jobs_are_queued_again_unless_there_is_a_reason_not_to(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let plain = jobs::enqueue(&mut tx, job("plain", NOW)).await.unwrap();
        let last = jobs::enqueue(&mut tx, NewJob { max_attempts: 1, ..job("last", NOW) }).await.unwrap();
        let twinned = jobs::enqueue(&mut tx, job("twinned", NOW)).await.unwrap();
        let unwanted = jobs::enqueue(&mut tx, job("unwanted", NOW)).await.unwrap();
        for _ in 0..4 {
            claim(&mut tx, NOW).await.unwrap();
        }
        let twin = jobs::enqueue(&mut tx, job("twinned", NOW)).await.unwrap();
        assert_eq!(jobs::cancel(&mut tx, unwanted, NOW).await.unwrap(), Cancelled::Requested);
        assert_eq!(jobs::reclaim_expired(&mut tx, LEASE + 1).await.unwrap(), 4);
        let mut states = Vec::new();
        for id in [plain, last, twinned, twin, unwanted] {
            let job = jobs::find(&mut tx, id).await.unwrap().unwrap();
            states.push(format!("{} ({})", job.state, job.message));
        }
        insta::assert_snapshot!(states.join("\n"), @r"
        queued (its worker was lost)
        queued (its worker was lost)
        error (its worker was lost (superseded: the same job is queued again))
        queued ()
        cancelled (cancelled)
        ");
    }

    async fn losses_are_no_attempts_but_a_job_that_takes_its_workers_down_waits_and_ends(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let id = jobs::enqueue(&mut tx, NewJob { max_attempts: 5, ..job("deadly", NOW) }).await.unwrap();
        let (mut now, mut waits) = (NOW, Vec::new());
        loop {
            let claimed = jobs::claim_one(&mut tx, id, "w1", now, now + 1).await.unwrap().unwrap();
            assert_eq!(claimed.max_attempts - claimed.attempt, 4, "each loss gives an attempt back");
            now += 2;
            assert_eq!(jobs::reclaim_expired(&mut tx, now).await.unwrap(), 1);
            let lost = jobs::find(&mut tx, id).await.unwrap().unwrap();
            if lost.state == "error" {
                assert_eq!(lost.message, "its worker was lost once too often");
                break;
            }
            waits.push((lost.run_at - now) / 1000);
            now = lost.run_at;
        }
        assert_eq!(waits, [0, 0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 170]);
    }

    async fn a_job_that_its_worker_hands_back_has_lost_nothing(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let id = jobs::enqueue(&mut tx, job("moved", NOW)).await.unwrap();
        for round in 0..30 {
            let claimed = jobs::claim_one(&mut tx, id, "w1", NOW, LEASE).await.unwrap().expect("due at once");
            if round % 2 == 0 {
                assert_eq!(jobs::release(&mut tx, "w1", NOW).await.unwrap(), 1);
            } else {
                jobs::give_up(&mut tx, &claimed, NOW).await.unwrap();
            }
            assert_eq!(jobs::reclaim_expired(&mut tx, NOW).await.unwrap(), 1);
            assert_eq!(jobs::find(&mut tx, id).await.unwrap().unwrap().run_at, NOW);
        }
    }

    async fn a_cancelled_job_never_begins_or_is_asked_to_stop(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let queued = jobs::enqueue(&mut tx, job("a", NOW)).await.unwrap();
        assert_eq!(jobs::cancel(&mut tx, queued, NOW).await.unwrap(), Cancelled::AtOnce);
        assert_eq!(jobs::cancel(&mut tx, queued, NOW).await.unwrap(), Cancelled::TooLate);
        assert_eq!(claim(&mut tx, NOW).await, None);
        let running = jobs::enqueue(&mut tx, job("a", NOW)).await.unwrap();
        claim(&mut tx, NOW).await.unwrap();
        assert_eq!(jobs::cancel(&mut tx, running, NOW).await.unwrap(), Cancelled::Requested);
        assert_eq!(jobs::heartbeat(&mut tx, running, 1, "node", LEASE).await.unwrap(), Lease::CancelRequested);
        assert!(jobs::finish(&mut tx, running, 1, Outcome::Cancelled, "stopped", NOW).await.unwrap());
        assert_eq!(jobs::find(&mut tx, running).await.unwrap().unwrap().state, "cancelled");
    }

    async fn a_chosen_job_is_claimed_before_its_time_but_not_beside_its_twin(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let first = jobs::enqueue(&mut tx, job("a", NOW + 500)).await.unwrap();
        let claimed = jobs::claim_one(&mut tx, first, "node", NOW, LEASE).await.unwrap().unwrap();
        assert_eq!((claimed.id, claimed.attempt, claimed.state.as_str()), (first, 1, "running"));
        assert_eq!(jobs::claim_one(&mut tx, first, "node", NOW, LEASE).await.unwrap(), None);
        let twin = jobs::enqueue(&mut tx, job("a", NOW)).await.unwrap();
        assert_eq!(jobs::claim_one(&mut tx, twin, "node", NOW, LEASE).await.unwrap(), None);
    }

    async fn a_stopping_node_gives_its_jobs_back_at_once(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let id = jobs::enqueue(&mut tx, job("a", NOW)).await.unwrap();
        claim(&mut tx, NOW).await.unwrap();
        assert_eq!(jobs::release(&mut tx, "other", NOW).await.unwrap(), 0);
        assert_eq!(jobs::release(&mut tx, "node", NOW).await.unwrap(), 1);
        assert_eq!(jobs::reclaim_expired(&mut tx, NOW).await.unwrap(), 1);
        assert_eq!(claim(&mut tx, NOW).await.unwrap().id, id);
    }

    async fn old_jobs_go_with_their_logs_and_open_ones_stay(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let mut all = Vec::new();
        for key in ["old", "recent", "open"] {
            all.push(jobs::enqueue(&mut tx, job(key, NOW)).await.unwrap());
        }
        let lines: Vec<_> = all.iter().map(|id| LogLine { job_id: *id, logged_at: NOW, line: "done".into() }).collect();
        job_log::append(&mut tx, &lines).await.unwrap();
        jobs::cancel(&mut tx, all[0], NOW).await.unwrap();
        jobs::cancel(&mut tx, all[1], NOW + 1).await.unwrap();
        assert_eq!(jobs::prune(&mut tx, NOW + 1, 10).await.unwrap(), 1);
        let left = jobs::list(&mut tx, Filter::default(), 10).await.unwrap();
        assert_eq!(left.iter().map(|job| job.id).collect::<Vec<_>>(), [all[2], all[1]]);
        assert_eq!(job_log::list(&mut tx, all[0], 10).await.unwrap(), []);
    }

    async fn many_who_ask_for_the_same_job_get_one(url: String) {
        let db = open(&url).await;
        let asking: Vec<_> = (0..6).map(|at| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut tx = db.write().await.unwrap();
                let id = jobs::enqueue(&mut tx, job("sync:1", NOW - at)).await.unwrap();
                tx.commit().await.unwrap();
                id
            })
        }).collect();
        let mut given = BTreeSet::new();
        for one in asking {
            given.insert(one.await.unwrap());
        }
        assert_eq!(given.len(), 1);
        let mut on = db.read().await.unwrap();
        assert_eq!(jobs::list(&mut on, Filter::default(), 10).await.unwrap().len(), 1);
        assert_eq!(jobs::next_run_at(&mut on).await.unwrap(), Some(NOW - 5));
    }

    async fn jobs_are_listed_newest_first_by_page_and_filter(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let mut all = Vec::new();
        for package in [1, 2, 2] {
            let new = NewJob { package_id: Some(package), organization_id: Some(package * 10), exclusive_key: None, ..job("", NOW) };
            all.push(jobs::enqueue(&mut tx, new).await.unwrap());
        }
        claim(&mut tx, NOW).await.unwrap();
        for (filter, expected) in [
            (Filter::default(), vec![all[2], all[1]]),
            (Filter { before_id: Some(all[1]), ..Filter::default() }, vec![all[0]]),
            (Filter { package_id: Some(2), ..Filter::default() }, vec![all[2], all[1]]),
            (Filter { organization_id: Some(10), ..Filter::default() }, vec![all[0]]),
            (Filter { state: Some("running"), ..Filter::default() }, vec![all[0]]),
            (Filter { kind: Some("BuildDist"), ..Filter::default() }, vec![]),
        ] {
            let listed = jobs::list(&mut tx, filter, 2).await.unwrap();
            assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), expected, "{filter:?}");
        }
    }

    async fn the_end_of_a_log_is_given_in_its_order(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let job_id = jobs::enqueue(&mut tx, job("a", NOW)).await.unwrap();
        let lines: Vec<_> = (0..5).map(|at| LogLine { job_id, logged_at: NOW + at, line: format!("line {at}") }).collect();
        job_log::append(&mut tx, &lines).await.unwrap();
        assert_eq!(job_log::list(&mut tx, job_id, 2).await.unwrap(), lines[3..]);
    }

    async fn a_due_schedule_is_claimed_by_one(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        schedules::ensure(&mut tx, "sync", NOW).await.unwrap();
        schedules::ensure(&mut tx, "sync", NOW + 999).await.unwrap();
        assert_eq!(schedules::list(&mut tx).await.unwrap()[0].next_run_at, NOW);
        tx.commit().await.unwrap();
        let tries: Vec<_> = (0..4).map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut tx = db.write().await.unwrap();
                let mine = schedules::claim_due(&mut tx, "sync", NOW, NOW + 100, NOW + 1000).await.unwrap();
                tx.commit().await.unwrap();
                mine
            })
        }).collect();
        let mut won = 0;
        for one in tries {
            won += usize::from(one.await.unwrap());
        }
        assert_eq!(won, 1);
    }
}

fn job(key: &str, run_at: i64) -> NewJob<'_> {
    NewJob {
        kind: "SyncPackage",
        payload: "{}",
        organization_id: None,
        package_id: None,
        exclusive_key: Some(key),
        priority: 0,
        max_attempts: 3,
        run_at,
        created_at: NOW,
    }
}

fn claimant(owner: &str) -> Claimant<'_> {
    Claimant {
        owner,
        depot: "here",
        present_since: NOW - 60_000,
    }
}

async fn claim(tx: &mut Transaction, now: i64) -> Option<Job> {
    jobs::claim(tx, claimant("node"), 2, now, LEASE)
        .await
        .unwrap()
}

/// Claims and finishes jobs until none is left, and returns their keys.
async fn drain(db: Database, number: i64) -> Vec<i64> {
    let owner = format!("worker {number}");
    let mut done = Vec::new();
    loop {
        let mut tx = db.write().await.unwrap();
        let job = jobs::claim(&mut tx, claimant(&owner), 2, NOW, LEASE)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let Some(job) = job else { return done };
        let mut tx = db.write().await.unwrap();
        assert!(
            jobs::finish(&mut tx, job.id, job.attempt, Outcome::Success, "", NOW)
                .await
                .unwrap()
        );
        tx.commit().await.unwrap();
        done.push(job.id);
    }
}
