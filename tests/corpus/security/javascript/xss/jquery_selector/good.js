$(document).find('.open').removeClass('open');
$(window).on('hashchange', () => $('.panel').hide());
