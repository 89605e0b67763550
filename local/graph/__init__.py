"""The embedded Microsoft Graph: OneNote, as far as the bundle and its tests need it."""
