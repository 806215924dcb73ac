//! What a request that was counted brings with it.

use std::fmt;

use http::{Request, Response};
use smallvec::SmallVec;

use super::{
    fields::Stamp, guard::Limits, legacy::Legacy, settle::ResponseHead, settling::Settling,
};
use crate::{
    body::Watch,
    event,
    guard::{Guard, Head, Pass},
    rejection::Rejection,
};

pub(super) type Stamps = SmallVec<[Stamp; 1]>;

/// A request that was counted: stamps on the response what is left, and settles what it cost.
#[derive(Default)]
pub struct Counted(Option<Box<Aftermath>>);

/// What is still to be done for a request that goes on.
#[derive(Default)]
pub(super) struct Aftermath {
    pub(super) stamps: Stamps,
    pub(super) legacy: Option<Legacy>,
    /// By limits that only report.
    pub(super) reports: Vec<Rejection>,
    pub(super) settling: Option<Box<Settling>>,
}

impl From<Aftermath> for Counted {
    fn from(what: Aftermath) -> Self {
        let nothing = what.stamps.is_empty()
            && what.reports.is_empty()
            && what.legacy.is_none()
            && what.settling.is_none();
        Self((!nothing).then(|| Box::new(what)))
    }
}

impl Pass for Counted {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        self.0.iter_mut().for_each(|it| it.enter(request));
    }

    fn leave<B>(&mut self, response: &mut Response<B>) {
        self.0.iter_mut().for_each(|it| it.leave(response));
    }

    fn watch(&mut self) -> Option<Box<dyn Watch>> {
        self.0.as_mut()?.watch()
    }
}

impl Aftermath {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        for report in self.reports.drain(..) {
            event::reported(Limits::NAME, Head::of(request), &report);
        }
    }

    fn leave<B>(&mut self, response: &mut Response<B>) {
        if let Some(settling) = &mut self.settling {
            settling.see(ResponseHead::of(response, 0));
        }
        for stamp in self.stamps.drain(..) {
            stamp.append_to(response.headers_mut());
        }
        if let Some(legacy) = self.legacy.take() {
            legacy.write(response.headers_mut());
        }
    }

    fn watch(&mut self) -> Option<Box<dyn Watch>> {
        let settling = self.settling.take().filter(|it| it.is_metering())?;
        Some(settling)
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}
