//! What an address lies in can't be found out without a lock.

use crate::modules::Module;

pub(crate) fn find(_address: usize, _visit: &mut dyn FnMut(&Module<'_>)) -> bool {
    false
}
