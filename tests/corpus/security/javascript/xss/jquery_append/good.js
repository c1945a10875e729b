const tag = window.location.hash.substring(1);
$('.tags').append($('<li>').text(tag));
$('#' + CSS.escape(tag)).show();
