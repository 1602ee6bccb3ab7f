mod running;
mod shipped;
mod validation;
