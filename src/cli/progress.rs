//! A line on the terminal while trust servers are asked, if that takes long enough to wonder.

use std::pin::pin;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;

/// Does the work; after a moment's patience, says on standard error what is being waited for.
/// The line is gone when the work is done, and is never drawn where nobody would see it.
pub(super) async fn while_waiting<T>(what: &str, output: &Output, work: impl Future<Output = T>) -> T {
    if !output.shows_progress() {
        return work.await;
    }
    let mut work = pin!(work);
    if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
        return done;
    }
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    // The template is a constant that a test renders; without it the default spinner shows.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    let done = work.await;
    bar.finish_and_clear();
    done
}

/// Shorter waits need no explanation, and a flash of text distracts.
const PATIENCE: Duration = Duration::from_millis(400);
const TICK: Duration = Duration::from_millis(100);
const TEMPLATE: &str = "{spinner} {msg} ({elapsed})";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_well_formed() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
