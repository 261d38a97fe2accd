devices-title = Your devices
devices-what = Where you are signed in now. Sign out what you don’t know, then change your password.
devices-sign-out = Sign out
    .label = Sign out { $device }, since { $since }, device { $index } of { $count }
devices-sign-out-others = Sign out all other devices
devices-no-other = No other device is signed in.

device-signed-out = The device is signed out.
others-signed-out = All other devices are signed out.
